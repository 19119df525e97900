"""Layer-wise learning-rate decay."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kft.errors import ConfigError
from kft.strategies.layerwise import decayed, layerwise_multipliers


def test_the_deepest_block_keeps_the_full_rate():
    assert layerwise_multipliers(3, 0.5) == (0.25, 0.5, 1.0)
    assert layerwise_multipliers(0, 0.5) == ()


@given(count=st.integers(1, 40), decay=st.floats(0.1, 1.0))
def test_multipliers_grow_by_one_factor_toward_the_head(count, decay):
    factors = layerwise_multipliers(count, decay)
    assert (len(factors), factors[-1]) == (count, 1.0)
    for shallow, deep in itertools.pairwise(factors):
        assert shallow == pytest.approx(deep * decay)


@pytest.mark.parametrize("decay", [0.0, -0.5, 1.1, float("nan")])
def test_decay_outside_its_range_is_refused(decay):
    with pytest.raises(ConfigError, match=r"^layer_decay: found .* above 0 and at most 1"):
        layerwise_multipliers(2, decay)


def test_blocks_with_the_full_rate_are_omitted():
    assert decayed(("a", "b"), 0.5) == {"a": 0.5}
    assert decayed(("a", "b"), 1.0) == {}
