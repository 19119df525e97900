"""Units that stay on one side of a split: groups of examples, and near duplicates."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from kft.config.split_section import SplitConfig
from kft.data.found import Found
from kft.errors import DataError
from kft.printing import listed


def find_groups(found: Found, config: SplitConfig) -> tuple[str, ...] | None:
    """Find the group of each example; None if no grouping is set.

    Args:
        found: Examples of a source, with the groups of `group_column`.
        config: The `data.split` section.

    Raises:
        DataError: The source has no columns, both the source and the pattern give groups, or
            an example has no group.
    """
    if config.group_pattern is not None:
        if found.groups is not None:
            raise DataError(
                f"data.split.group_pattern: {found.source} gives the groups already. "
                "Keep one of the two."
            )
        return _search_groups(found, config.group_pattern)
    if config.group_column is not None and found.groups is None:
        raise DataError(
            f"data.split.group_column: {found.source} has no columns; only tables have. If the "
            "file names contain the group, use data.split.group_pattern."
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
                f"{len(found.examples)} examples: {listed(blank)}. Fill it in: an example "
                "without a group may belong to any."
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
            f"{len(groups)} names: {listed(without)}. Each name must have a group: the match of "
            "the first bracket, or the whole match if there is no bracket."
        )
    return tuple(group for group in groups if group)


def name_grouping(config: SplitConfig) -> str:
    """Name the kind of group, such as 'speaker', or the pattern that finds the groups."""
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
    """Join examples of the same group and near duplicates to units; int64 (examples,).

    Units are connected components: an example with a copy in another group joins the two
    groups.

    Args:
        total: Number of examples.
        groups: Group of each example, or None.
        alike: Sets of indices of examples that look the same.
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
