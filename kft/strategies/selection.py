"""Resolution of block names that a user wrote to blocks of the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kft.errors import ConfigError
from kft.registry import suggest

GROUPS = ("all", "backbone")


def resolve_blocks(
    names: Iterable[str], table_names: tuple[str, ...], *, where: str, backbone: str
) -> tuple[str, ...]:
    """Resolve block names, with 'all' and 'backbone' expanded, to blocks from shallow to deep.

    Args:
        names: Names as a user wrote them.
        table_names: Names of the block table; the head is last.
        where: Path of the setting, for messages.
        backbone: Name of the backbone, for messages.

    Raises:
        ConfigError: A name is not a block of this backbone.
    """
    groups: Mapping[str, tuple[str, ...]] = dict(
        zip(GROUPS, (table_names, table_names[:-1]), strict=True)
    )
    chosen: set[str] = set()
    for name in names:
        if name not in table_names and name not in groups:
            raise ConfigError(unknown_block(name, table_names, where, backbone))
        chosen.update(groups.get(name, (name,)))
    return tuple(name for name in table_names if name in chosen)


def unknown_block(name: str, table_names: tuple[str, ...], where: str, backbone: str) -> str:
    """Format the message for an unknown block, with similar names and all blocks."""
    return (
        f"{where}: backbone {backbone!r} has no block {name!r}. "
        f"{suggest(name, (*table_names, *GROUPS))} Blocks: {', '.join(table_names)}. "
        f"Run `kft backbones {backbone}` to see them."
    )
