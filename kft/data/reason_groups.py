"""Grouping of reasons that differ only in names and numbers; each is listed with its count."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

# Parts that may differ within a kind of reason: quoted values, paths, numbers.
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|[^\s']*/[^\s',;]*|\d+(?:[.,]\d+)*")
_GROUPS = 10
_EXAMPLES = 3


def list_by_reason(problems: Sequence[tuple[str, str]]) -> str:
    """List each kind of reason once, with its count, most frequent first.

    Names the first three of each kind; shows ten kinds, and counts the others.

    >>> print(list_by_reason([("a", "column 'x' is blank")] * 4 + [("b", "no file")]))
      - 4 times: column 'x' is blank
          a
          a
          a
          and 1 more
      - b: no file

    Args:
        problems: Name of each bad example, and the reason.
    """
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name, reason in problems:
        kinds.setdefault(_VARIABLE.sub("\0", reason), []).append((name, reason))
    # Sorting is stable: groups of equal size keep their order.
    groups = sorted(kinds.values(), key=len, reverse=True)
    lines = [line for group in groups[:_GROUPS] for line in _describe(group)]
    rest = groups[_GROUPS:]
    if rest:
        lines.append(f"  and {sum(map(len, rest)):,} more, for {len(rest):,} other reasons")
    return "\n".join(lines)


def _describe(group: Sequence[tuple[str, str]]) -> list[str]:
    if len(group) <= _EXAMPLES:
        return [f"  - {name}: {reason}" for name, reason in group]
    common = _find_common([reason for _, reason in group])
    is_same = common == group[0][1]
    return [
        f"  - {len(group):,} times: {common}",
        *(
            f"      {name}" if is_same else f"      {name}: {reason}"
            for name, reason in group[:_EXAMPLES]
        ),
        f"      and {len(group) - _EXAMPLES:,} more",
    ]


def _find_common(reasons: Sequence[str]) -> str:
    """Merge reasons of one kind into one, with `…` for the parts that differ."""
    if all(one == other for one, other in pairwise(reasons)):
        return reasons[0]
    columns = zip(*map(_VARIABLE.findall, reasons), strict=True)
    values = iter([found[0] if len(set(found)) == 1 else "…" for found in columns])
    return _VARIABLE.sub(lambda _: next(values), reasons[0])
