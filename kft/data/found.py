"""What a source hands to the splitting: labelled files, and what it left aside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kft.examples import Examples, Quarantined, SplitName
from kft.tasks import Task

SPLIT_WORDS: Mapping[SplitName, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "holdout": ("holdout", "test", "testing"),
}

_SPLIT_NAME = re.compile(r"(?:seg[_-])?(?P<word>[a-z]+?)(?:[_ -]?set)?")
# How data says that there is no value: what pandas reads so, and its kin.
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
        examples: All of them, in any order.
        given_splits: The split that the source names for each example, or
            None for all of them where it names none.
        task: What a target is.
        class_names: Name of each class, label or number, by index.
        source: What was read, for messages and for `Splits.origin`.
        ignored: Reason -> how many files were left aside for it.
        quarantined: What cannot be used and is therefore not among the examples.
        groups: What each example belongs to, where the source says it: examples of one group
            stay on one side of a split.
        times: When each example was made, where the source says it: seconds since 1970, or
            whatever number rises.
        notes: Sentences on what the source read otherwise than it is written, each with its
            count, or on what would mend it.
        noticed: Word on examples, such as where they lie -> how many it is true of.
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

    def __post_init__(self) -> None:
        assert self.given_splits is None or len(self.given_splits) == len(self.examples)

    def take(self, positions: Sequence[int]) -> Found:
        """The examples at these positions, in that order, with all that is said of each."""
        return replace(
            self,
            examples=self.examples.take(positions),
            given_splits=self.given_splits and tuple(self.given_splits[i] for i in positions),
            groups=self.groups and tuple(self.groups[i] for i in positions),
            times=self.times and tuple(self.times[i] for i in positions),
        )


def find_split(word: str) -> SplitName | None:
    """The split that a folder name or table value usually means, in any case of letters.

    Archives also write `training_set`, `test-set` or `seg_train`.
    """
    match = _SPLIT_NAME.fullmatch(word.strip().lower())
    for split, words in SPLIT_WORDS.items():
        if match is not None and match["word"] in words:
            return split
    return None


def sort_class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The different labels in order: of the numbers, where all are whole ones, else of the text."""
    names = set(labels)
    if all(re.fullmatch(r"-?\d+", name) for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
