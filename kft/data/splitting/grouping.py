"""What stays on one side of a split: examples of one group, and those that look the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from kft.config.split_section import SplitConfig
from kft.data.found import Found
from kft.errors import DataError
from kft.printing import listed


def find_groups(found: Found, config: SplitConfig) -> tuple[str, ...] | None:
    """The group of each example, or None where none are asked for.

    Args:
        found: What a source found; its groups are of `group_column`.
        config: The `data.split` section.

    Raises:
        DataError: The source has no such column, it and the pattern both say something, or an
            example has no group.
    """
    if config.group_pattern is not None:
        if found.groups is not None:
            raise DataError(
                f"data.split.group_pattern: {found.source} says the groups already. "
                "Keep one of the two."
            )
        return _search_groups(found, config.group_pattern)
    if config.group_column is not None and found.groups is None:
        raise DataError(
            f"data.split.group_column: {found.source} has no columns; a table has. Where the "
            "names of the files say the group, use data.split.group_pattern."
        )
    if found.groups is not None:
        blank = [
            name
            for name, group in zip(found.examples.ids, found.groups, strict=True)
            if not group.strip()
        ]
        if blank:
            raise DataError(
                f"{found.source}: {_say_where(config)} is blank for {len(blank)} of "
                f"{len(found.examples)} examples: {listed(blank)}. Fill it in: an example of no "
                "group may belong to any."
            )
    return found.groups


def _search_groups(found: Found, pattern: str) -> tuple[str, ...]:
    expression = re.compile(pattern)
    bracket = min(1, expression.groups)
    matches = [expression.search(name) for name in found.examples.ids]
    groups = [match.group(bracket) if match else None for match in matches]
    without = [name for name, group in zip(found.examples.ids, groups, strict=True) if not group]
    if without:
        raise DataError(
            f"data.split.group_pattern: {pattern!r} finds no group in {len(without)} of "
            f"{len(groups)} names: {listed(without)}. Each name must have one; the group is what "
            "the first bracket matches, or the whole match where there is none."
        )
    return tuple(group for group in groups if group)


def name_grouping(config: SplitConfig) -> str:
    """What the groups are, in words: 'speaker', or the pattern that finds them."""
    if config.group_pattern is not None:
        names = re.compile(config.group_pattern).groupindex
        named = next((name for name, number in names.items() if number == 1), None)
        return named or f"the pattern {config.group_pattern!r}"
    return config.group_column or "group"


def _say_where(config: SplitConfig) -> str:
    if config.group_column is not None:
        return f"column {config.group_column!r} (data.split.group_column)"
    return "the group"


def join_units(
    total: int, groups: Sequence[str] | None, alike: Sequence[Sequence[int]]
) -> np.ndarray:
    """The unit of each example, int64: what is in one group or looks alike is in one unit.

    Units are the connected components, so that an example that is in two groups, by a copy of
    itself, joins these groups.

    Args:
        total: How many examples there are.
        groups: The group of each, or None.
        alike: Sets of positions that look the same.
    """
    sets = [list(positions) for positions in alike]
    if groups is not None:
        members: dict[str, list[int]] = {}
        for position, group in enumerate(groups):
            members.setdefault(group, []).append(position)
        sets += members.values()
    pairs = [(positions[0], other) for positions in sets for other in positions[1:]]
    if not pairs:
        return np.arange(total)
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.asarray(pairs).T
    edges = coo_array((np.ones(len(pairs), np.int8), (ends[0], ends[1])), shape=(total, total))
    _, units = connected_components(edges, directed=False)
    return units.astype(np.int64)
