"""Layer-wise learning-rate decay."""

from __future__ import annotations

from collections.abc import Sequence

from kft.errors import ConfigError


def layerwise_multipliers(num_blocks: int, decay: float) -> tuple[float, ...]:
    """Compute the learning-rate multiplier of each block, shallow to deep.

    Block i of n gets decay**(n - 1 - i): the deepest keeps the full rate.

    >>> layerwise_multipliers(3, 0.5)
    (0.25, 0.5, 1.0)

    Args:
        num_blocks: Number of trainable blocks of the backbone.
        decay: Factor per block toward the input, in (0, 1].

    Raises:
        ConfigError: `decay` lies outside (0, 1].

    Source: Clark et al., ELECTRA, arXiv:2003.10555.
    """
    if not 0.0 < decay <= 1.0:
        raise ConfigError(
            f"layer_decay: found {decay}. Allowed are factors above 0 and at most 1; 1 gives every "
            "block the same rate."
        )
    return tuple(decay ** (num_blocks - 1 - index) for index in range(num_blocks))


def decayed(blocks: Sequence[str], decay: float) -> dict[str, float]:
    """Map trainable backbone blocks, given shallow to deep, to multipliers other than 1."""
    factors = zip(blocks, layerwise_multipliers(len(blocks), decay), strict=True)
    return {block: factor for block, factor in factors if factor != 1.0}
