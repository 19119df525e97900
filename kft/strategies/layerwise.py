"""Layer-wise learning-rate decay."""

from __future__ import annotations

from collections.abc import Sequence

from kft.errors import ConfigError


def layerwise_multipliers(num_blocks: int, decay: float) -> tuple[float, ...]:
    """Learning-rate multiplier of each block, shallow to deep.

    Block i of n gets decay**(n - 1 - i): the deepest keeps the full rate.

    Args:
        num_blocks: How many blocks of the backbone train.
        decay: Factor per block toward the input, in (0, 1].

    Raises:
        ConfigError: `decay` lies outside (0, 1].

    Source: Clark et al., ELECTRA, arXiv:2003.10555.
    """
    if not 0.0 < decay <= 1.0:
        raise ConfigError(
            f"layer_decay: found {decay}. A factor above 0 and at most 1 is allowed; 1 gives every "
            "block the same rate."
        )
    return tuple(decay ** (num_blocks - 1 - index) for index in range(num_blocks))


def decayed(blocks: Sequence[str], decay: float) -> dict[str, float]:
    """Multipliers other than 1 of trainable backbone blocks, which come shallow to deep."""
    factors = zip(blocks, layerwise_multipliers(len(blocks), decay), strict=True)
    return {block: factor for block, factor in factors if factor != 1.0}
