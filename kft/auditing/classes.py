"""Check for classes that are empty, hardly judged, or much smaller than others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kft.auditing.seen_examples import SeenExamples
from kft.findings import Finding, Severity, count

# A model loses little if it ignores a class with a tenth of the examples of another.
STRONG_IMBALANCE = 10.0
IMBALANCE = 3.0
# With fewer, a single answer changes the metrics of a class by more than a fifth.
FEWEST_JUDGED = 5


def find_class_problems(
    seen: SeenExamples, holdout_targets: np.ndarray | None
) -> tuple[Finding, ...]:
    """Find classes that are empty, have too few examples in the holdout, or are outnumbered.

    Args:
        seen: Examples to check.
        holdout_targets: Targets of the holdout of training; None if the examples cannot
            be split.
    """
    if not seen.task.has_classes:
        return ()
    counts = _count(seen.class_names, seen.targets)
    present = {name: number for name, number in counts.items() if number}
    nouns = seen.modality.nouns
    findings = [*_find_empty([name for name in counts if name not in present], nouns)]
    if holdout_targets is not None and len(holdout_targets):
        judged = _count(seen.class_names, holdout_targets)
        findings += _find_hardly_judged({name: judged[name] for name in present}, nouns)
    return (*findings, *_find_imbalance(present, nouns))


def _count(class_names: Sequence[str], targets: np.ndarray) -> dict[str, int]:
    numbers = np.bincount(targets, minlength=len(class_names))
    return dict(zip(class_names, numbers.tolist(), strict=True))


def _find_empty(empty: list[str], nouns: str) -> Iterator[Finding]:
    if empty:
        yield Finding(
            "empty_classes",
            "problem",
            f"{_listed(empty)}: there are no usable {nouns}, so training would refuse the data. "
            f"Add {nouns}, or remove the class.",
        )


def _find_hardly_judged(judged: Mapping[str, int], nouns: str) -> Iterator[Finding]:
    few = [f"{name} ({number})" for name, number in judged.items() if number < FEWEST_JUDGED]
    if few:
        yield Finding(
            "hardly_judged_classes",
            "warning",
            f"{_listed(few)}: fewer than {FEWEST_JUDGED} {nouns} in the holdout. A single answer "
            f"changes the metrics of such a class by more than a fifth: add {nouns}, or do not "
            "rely on them.",
        )


def _find_imbalance(present: Mapping[str, int], nouns: str) -> Iterator[Finding]:
    largest = max(present, key=lambda name: present[name])
    smallest = min(present, key=lambda name: present[name])
    ratio = present[largest] / present[smallest]
    if ratio < IMBALANCE:
        return
    severity: Severity = "warning" if ratio >= STRONG_IMBALANCE else "note"
    yield Finding(
        "imbalance",
        severity,
        f"Class {largest} has {ratio:.1f} times as many {nouns} as {smallest} "
        f"({present[largest]:,} and {present[smallest]:,}). Read the metrics of each class, not "
        "only the accuracy; training.class_weights=balanced or training.sampling=balanced gives "
        "small classes more weight.",
    )


def _listed(names: list[str]) -> str:
    """List classes, such as 'Class a', or '12 classes, a, b … and 2 more'."""
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    shown = ", ".join(names[:10]) + more
    return (
        f"Class {shown}" if len(names) == 1 else f"{count(len(names), 'class', 'classes')}, {shown}"
    )
