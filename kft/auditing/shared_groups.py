"""Check for parts of file names, such as speakers, that are on both sides of the split."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kft.auditing.seen_examples import SeenExamples
from kft.config import SplitConfig
from kft.findings import Finding, Flagged
from kft.printing import listed

_FEWEST_GROUPS = 3
# Examples of each group, at least, in the mean: fewer are takes of one thing.
_FEWEST_EXAMPLES = 5
_PART = r"[^/_. -]+"
_SEPARATOR = r"[_. -]+"


def find_shared_groups(seen: SeenExamples, config: SplitConfig) -> tuple[Finding, ...]:
    """Find parts of the file names that may name groups, each in train and in another split.

    A part stands at one place of all names, such as `anna` in `7_anna_3.wav`. It may name a group
    if it has a letter, at least three values with five examples each, and is not the class.

    Args:
        seen: Examples with their splits.
        config: The `data.split` section; groups that it keeps together are not looked for.
    """
    splits = seen.splits
    if splits is None or config.group_column is not None or config.group_pattern is not None:
        return ()
    findings = []
    for place, values in enumerate(_split_names(seen.names)):
        if not _may_be_groups(values, [seen.label(i) for i in range(len(seen))]):
            continue
        places = list(zip(values, splits, strict=True))
        trained = {value for value, split in places if split == "train"}
        shared = sorted(trained & {value for value, split in places if split != "train"})
        if shared:
            findings.append(_make_finding(seen, values, shared, place))
    return tuple(findings)


def _split_names(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield the parts at each place of the file names; none if they have different numbers."""
    stems = [name.rpartition("/")[2].rpartition(".")[0] for name in names]
    parts = [re.findall(_PART, stem) for stem in stems]
    if len({len(each) for each in parts}) == 1:
        yield from zip(*parts, strict=True)


def _may_be_groups(values: Sequence[str], labels: Sequence[str]) -> bool:
    groups = set(values)
    if not all(re.search(r"[^\W\d_]", group) for group in groups):
        return False
    if not _FEWEST_GROUPS <= len(groups) <= len(values) / _FEWEST_EXAMPLES:
        return False
    # A group has several labels, or else it is a class.
    return len(set(zip(values, labels, strict=True))) >= 2 * len(groups)


def _make_finding(
    seen: SeenExamples, values: Sequence[str], shared: list[str], place: int
) -> Finding:
    pattern = rf"(?:^|/)(?:{_PART}{_SEPARATOR}){{{place}}}({_PART})[^/]*$"
    first = {value: seen.names[values.index(value)] for value in shared}
    return Finding(
        "groups_on_both_sides",
        "warning",
        f"Part {place + 1} of the file names has {len(set(values)):,} values, of which "
        f"{len(shared):,} are both in train and in another split: {listed(shared)}. If they name "
        "speakers, patients, devices or places, the model is judged on those that it was trained "
        "on, and its figures say little about new ones. Keep each on one side: "
        f"data.split.group_pattern='{pattern}'.",
        tuple(Flagged(name, value) for value, name in first.items()),
    )
