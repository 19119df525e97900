"""Check of boxes: odd sizes and shapes, two classes at one place, classes with few boxes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kft.auditing.classes import IMBALANCE, STRONG_IMBALANCE
from kft.auditing.seen_examples import SeenExamples
from kft.findings import Finding, Flagged, Severity, count
from kft.tasks import BOXES

# Boxes this many times smaller or larger than the median of their class, as the root of the area,
# or of a shape this many times longer: people draw none so, but slips of the mouse do.
_ODD_SIZE = 6.0
_ODD_SHAPE = 5.0
# With fewer boxes of a class, the median tells little.
_FEWEST = 20
# Two boxes that overlap more are around the same object.
_SAME_PLACE = 0.9


def find_box_problems(seen: SeenExamples) -> tuple[Finding, ...]:
    """Find boxes of absurd size or shape, objects with two classes, and outnumbered classes.

    Args:
        seen: Examples to check.
    """
    if seen.task.companion != BOXES:
        return ()
    owners, rows = np.nonzero(seen.targets[:, :, 0] >= 0)
    boxes = seen.targets[owners, rows].astype(np.float64)
    if not len(boxes):
        return ()
    return (
        *_find_odd(seen, owners, boxes),
        *_find_two_classes(seen),
        *_find_imbalance(seen, boxes[:, 0].astype(np.int64)),
    )


def _find_odd(seen: SeenExamples, owners: np.ndarray, boxes: np.ndarray) -> Iterator[Finding]:
    sides = boxes[:, 3:] - boxes[:, 1:3]
    sizes, shapes = np.sqrt(sides.prod(axis=1)), sides[:, 0] / sides[:, 1]
    flagged: dict[int, list[str]] = {}
    for code, name in enumerate(seen.class_names):
        own = np.flatnonzero(boxes[:, 0] == code)
        if len(own) < _FEWEST:
            continue
        for values, limit, words in (
            (sizes, _ODD_SIZE, ("as small", "as large")),
            (shapes, _ODD_SHAPE, ("as narrow", "as wide")),
        ):
            ratios = values[own] / np.median(values[own])
            for place in np.flatnonzero(np.abs(np.log(ratios)) > np.log(limit)).tolist():
                times = max(ratios[place], 1 / ratios[place])
                word = words[int(ratios[place] > 1)]
                note = f"{name} at {_describe(boxes[own[place]])}: {times:.1f} times {word}"
                flagged.setdefault(int(owners[own[place]]), []).append(note)
    if flagged:
        number = sum(map(len, flagged.values()))
        yield Finding(
            "odd_boxes",
            "warning",
            f"{count(number, 'box', 'boxes')} in {seen.count(len(flagged))} of another size or "
            "shape than the median of their class. Check that they are around one whole object.",
            tuple(Flagged(seen.names[i], "; ".join(notes)) for i, notes in flagged.items()),
        )


def _find_two_classes(seen: SeenExamples) -> Iterator[Finding]:
    from kft.tasks.detection.matching import find_overlaps

    flagged = []
    for name, target in zip(seen.names, seen.targets, strict=True):
        boxes = target[target[:, 0] >= 0].astype(np.float64)
        fits = find_overlaps(boxes[:, 1:], boxes[:, 1:])
        is_pair = np.triu(fits > _SAME_PLACE, 1)
        for one, other in np.argwhere(is_pair).tolist():
            names = [seen.class_names[int(boxes[i, 0])] for i in (one, other)]
            flagged.append(Flagged(name, f"{' and '.join(names)} at {_describe(boxes[one])}"))
    if flagged:
        yield Finding(
            "boxes_at_one_place",
            "warning",
            f"{count(len(flagged), 'pair of boxes', 'pairs of boxes')} at nearly one place. An "
            "object has one box and one class: remove the other.",
            tuple(flagged),
        )


def _find_imbalance(seen: SeenExamples, codes: np.ndarray) -> Iterator[Finding]:
    numbers = np.bincount(codes, minlength=len(seen.class_names))
    names = zip(numbers.tolist(), seen.class_names, strict=True)
    present = [(number, name) for number, name in names if number]
    (most, largest), (fewest, smallest) = max(present), min(present)
    if most < IMBALANCE * fewest:
        return
    severity: Severity = "warning" if most >= STRONG_IMBALANCE * fewest else "note"
    yield Finding(
        "box_imbalance",
        severity,
        f"Class {largest} has {most / fewest:.1f} times as many boxes as {smallest} ({most:,} and "
        f"{fewest:,}). Read the figures of each class; training.class_weights=balanced gives small "
        "classes more weight.",
    )


def _describe(box: np.ndarray) -> str:
    return ", ".join(f"{100 * side:.0f} %" for side in box[1:].tolist())
