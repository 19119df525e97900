"""Figures that tell what differs, however large or small they are."""

from __future__ import annotations

import doctest
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kft import figures
from kft.figures import format_figure, format_share

finite = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: 1e-300 < abs(x) < 1e300)


def test_the_examples_of_the_module_hold():
    assert doctest.testmod(figures).attempted >= 2
    assert doctest.testmod(figures).failed == 0


@given(finite)
def test_a_figure_keeps_four_digits_and_stays_short(value):
    text = format_figure(value)
    assert float(text) == pytest.approx(value, rel=6e-4)
    assert len(text) <= 12


@given(finite, st.floats(1e-12, 1e12))
def test_a_figure_with_a_spread_is_told_to_a_thousandth_of_it_or_to_what_a_float_holds(
    value, spread
):
    text = format_figure(value, spread=spread)
    assert abs(float(text) - value) <= max(1e-3 * spread, 1e-15 * abs(value))
    assert len(re.sub(r"e.*|[^0-9]", "", text).lstrip("0")) <= 18


@given(finite)
def test_what_is_not_zero_is_never_written_as_zero(value):
    assert float(format_figure(value)) != 0
    assert float(format_figure(value, spread=1.0)) != 0
    share = abs(value) % 1.0
    assert (float(format_share(share)) == 0) == (share == 0)


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (1700000123.44, 300.0, "1700000123.4"),
        (48.00057, 0.0003, "48.0005700"),
        (5.793e-07, 2.6e-07, "5.793e-07"),
        (10453063680.0, None, "1.045e+10"),
        (390.4, None, "390.4"),
        (0.0, None, "0"),
        (12, None, "12"),
        (None, None, "none"),
        (float("nan"), None, "nan"),
    ],
)
def test_figures_that_people_met(value, spread, text):
    assert format_figure(value, spread=spread) == text
