"""Counts of a data set by class and split, and statistics of its modality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kft.auditing.seen_examples import SeenExamples
from kft.examples import SPLIT_NAMES, Calibration
from kft.modalities.audit_records import Fact


@dataclass(frozen=True)
class Group:
    """Examples of one class or label, or all of them.

    Attributes:
        name: Name of the class or label; 'all' for all examples.
        counts: Split -> number of examples; only `all` if there are no splits.
        facts: Statistics of the modality.
    """

    name: str
    counts: Mapping[str, int]
    facts: tuple[Fact, ...]

    @property
    def total(self) -> int:
        """Number of examples over all splits."""
        return sum(self.counts.values())

    def describe(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "name": self.name,
            "counts": dict(self.counts),
            **{fact.key: fact.value for fact in self.facts},
        }


@dataclass(frozen=True)
class Overview:
    """Counts of a data set. found = used + quarantined + ignored.

    Attributes:
        task: Name of the task.
        noun: Noun for a group, such as 'class'; empty if the only group is all examples.
        nouns: Plural of `noun`.
        num_used: Number of examples that training would use.
        num_quarantined: Number of files that cannot be used.
        ignored: Reason -> number of ignored files.
        groups: Each class or label, and finally all examples.
        imbalance: Ratio of the examples of the largest class to those of the smallest; None
            for other tasks, or if a class is empty.
        repaired: Reason -> number of converted examples.
        noticed: Remark of the file check -> number of examples.
        facts: Statistics of the modality; empty without examples.
        calibration: Settings determined from all files; None if the modality has none.
    """

    task: str
    noun: str
    nouns: str
    num_used: int
    num_quarantined: int
    ignored: Mapping[str, int]
    groups: tuple[Group, ...]
    imbalance: float | None
    repaired: Mapping[str, int]
    noticed: Mapping[str, int]
    facts: tuple[Fact, ...] = ()
    calibration: Calibration | None = None

    @property
    def num_found(self) -> int:
        """Number of all files."""
        return self.num_used + self.num_quarantined + sum(self.ignored.values())

    def describe(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "num_found": self.num_found,
            "task": self.task,
            "noun": self.noun,
            "nouns": self.nouns,
            "num_used": self.num_used,
            "num_quarantined": self.num_quarantined,
            "ignored": dict(self.ignored),
            "groups": [group.describe() for group in self.groups],
            "imbalance": self.imbalance,
            "repaired": dict(self.repaired),
            "noticed": dict(self.noticed),
            **{fact.key: fact.value for fact in self.facts},
            "calibration": None if self.calibration is None else asdict(self.calibration),
        }


def make_overview(
    seen: SeenExamples, *, num_quarantined: int, ignored: Mapping[str, int]
) -> Overview:
    """Make the overview.

    Args:
        seen: Examples that training would use.
        num_quarantined: Number of files that cannot be used.
        ignored: Reason -> number of ignored files.
    """
    task, groups = seen.task, _make_groups(seen)
    return Overview(
        task=task.name,
        noun=task.noun if task.is_stratified else "",
        nouns=task.nouns if task.is_stratified else "",
        num_used=len(seen),
        num_quarantined=num_quarantined,
        ignored=_most_first(ignored),
        groups=groups,
        imbalance=_find_imbalance(seen, groups),
        repaired=_count(reason for each in seen.checked for reason in each.repaired),
        noticed=_count(word for each in seen.checked for word in each.noticed),
        facts=seen.modality.summarise(seen.checked),
        calibration=seen.calibration,
    )


def _make_groups(seen: SeenExamples) -> tuple[Group, ...]:
    """Make a group for each class or label, then one for all examples."""
    members = seen.task.find_members(seen.targets, len(seen.class_names))
    return tuple(
        Group(
            name,
            _count_splits(seen, where),
            seen.modality.summarise_group([seen.checked[i] for i in where]),
        )
        for name, where in [
            *zip(seen.class_names, members, strict=False),
            ("all", np.arange(len(seen))),
        ]
    )


def _count_splits(seen: SeenExamples, where: np.ndarray) -> dict[str, int]:
    if seen.splits is None:
        return {"all": len(where)}
    splits = np.array(seen.splits)[where]
    return {name: int((splits == name).sum()) for name in SPLIT_NAMES if name in seen.splits}


def _find_imbalance(seen: SeenExamples, groups: Sequence[Group]) -> float | None:
    totals = [group.total for group in groups[:-1]]
    if not seen.task.has_classes or not all(totals):
        return None
    return round(max(totals) / min(totals), 2)


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(counts).most_common())
