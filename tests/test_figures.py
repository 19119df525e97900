"""Figures show differences at any magnitude."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kft.figures import format_figure, format_share

finite = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: 1e-300 < abs(x) < 1e300)


@given(finite)
def test_a_figure_keeps_four_digits_and_stays_short(value):
    text = format_figure(value)
    assert float(text) == pytest.approx(value, rel=6e-4)
    assert len(text) <= 12


@given(finite, st.floats(1e-12, 1e12))
def test_a_figure_with_a_spread_resolves_a_thousandth_of_it_as_far_as_floats_do(value, spread):
    text = format_figure(value, spread=spread)
    assert abs(float(text) - value) <= max(1e-3 * spread, 1e-15 * abs(value))
    assert len(re.sub(r"e.*|[^0-9]", "", text).lstrip("0")) <= 18


@given(finite)
def test_numbers_other_than_zero_are_never_formatted_as_zero(value):
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
def test_figures_of_real_runs_are_readable(value, spread, text):
    assert format_figure(value, spread=spread) == text
