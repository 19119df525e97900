"""Result of a source: labelled files, and counts of the files it left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kft.examples import Examples, Quarantined, SplitName
from kft.findings import Finding
from kft.tasks import Task

SPLIT_WORDS: Mapping[SplitName, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "holdout": ("holdout", "test", "testing"),
}

_SPLIT_NAME = re.compile(r"(?:seg[_-])?(?P<word>[a-z]+?)(?:[_ -]?set)?")
# Words for a missing value: those of pandas, and similar ones.
MISSING_WORDS = frozenset(
    (
        *("nan", "NaN", "NAN", "-nan", "-NaN", "NA", "N/A", "n/a", "#N/A", "#NA", "<NA>"),
        *("null", "Null", "NULL", "none", "None", "NONE"),
    )
)


@dataclass(frozen=True)
class Found:
    """Labelled files as a source found them, not yet split.

    Attributes:
        examples: All examples, in any order.
        given_splits: Split that the source gives for each example; None if it
            gives none.
        task: Task of the targets.
        class_names: Name of each class, label or number, by index.
        source: Name of the data, for messages and for `Splits.origin`.
        ignored: Reason -> number of files ignored for it.
        quarantined: Unusable files, which are not among the examples.
        groups: Group of each example, if the source gives groups; the examples of a group
            stay on one side of a split.
        times: Time of each example, if the source gives times: seconds since 1970, or any
            increasing number.
        notes: Sentences that say, with counts, which values were read in a different form, or
            how to fix the data.
        noticed: Remark, such as the place of examples -> number of examples.
        findings: Remarkable files, by name, for the audit.
    """

    examples: Examples
    given_splits: tuple[SplitName, ...] | None
    task: Task
    class_names: tuple[str, ...]
    source: str
    ignored: Mapping[str, int] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()
    groups: tuple[str, ...] | None = None
    times: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()
    noticed: Mapping[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        assert self.given_splits is None or len(self.given_splits) == len(self.examples)

    def take(self, positions: Sequence[int]) -> Found:
        """Select the examples at these indices, in that order, with all their attributes."""
        return replace(
            self,
            examples=self.examples.take(positions),
            given_splits=self.given_splits and tuple(self.given_splits[i] for i in positions),
            groups=self.groups and tuple(self.groups[i] for i in positions),
            times=self.times and tuple(self.times[i] for i in positions),
        )


def find_split(word: str) -> SplitName | None:
    """Find the split that a folder name or table value usually means, ignoring case.

    Archives also write `training_set`, `test-set` or `seg_train`.
    """
    match = _SPLIT_NAME.fullmatch(word.strip().lower())
    for split, words in SPLIT_WORDS.items():
        if match is not None and match["word"] in words:
            return split
    return None


def sort_class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort the distinct labels: as numbers if all are whole numbers, else as text."""
    names = set(labels)
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
