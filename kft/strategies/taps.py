"""Blocks whose outputs a layered probe reads."""

from __future__ import annotations

from collections.abc import Sequence

from kft.errors import ConfigError
from kft.strategies.setting import Setting
from kft.strategies.traits import BlockTraits

# Columns of statistics up to which every block is read. With more, solving takes longer than
# computing the features does; one block per stride then keeps most of the gain.
_MOST_COLUMNS = 10_000


def find_taps(setting: Setting) -> tuple[str, ...]:
    """Find the blocks below the last whose statistics a solved probe reads.

    Raises:
        ConfigError: `strategy.probe_layers` names an unknown block, or the blocks are hidden.
    """
    wanted, blocks = setting.config.probe_layers, setting.traits
    below = blocks[:-1]
    if wanted == "last":
        return ()
    if any(not block.channels for block in blocks):
        if wanted == "auto":
            return ()
        raise ConfigError(
            f"strategy.probe_layers: backbone {setting.backbone!r} hides the outputs of its "
            "blocks, so a probe can only read the last. Use `auto` or `last`."
        )
    if wanted == "auto":
        is_small = sum(2 * block.channels for block in blocks) <= _MOST_COLUMNS
        return tuple(block.name for block in (below if is_small else _deepest_of_strides(below)))
    if wanted == "all":
        return tuple(block.name for block in below)
    chosen = setting.blocks(wanted, "strategy.probe_layers")
    return tuple(block.name for block in below if block.name in chosen)


def _deepest_of_strides(blocks: Sequence[BlockTraits]) -> Sequence[BlockTraits]:
    deepest = {block.stride: block.name for block in blocks if block.stride is not None}
    return [block for block in blocks if block.name in deepest.values()]
