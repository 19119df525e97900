"""Check for outliers: in format, in a measure, or in the backbone's features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from kft.auditing.seen_examples import SeenExamples
from kft.findings import Finding, Flagged
from kft.linear.problem import take_rows
from kft.modalities.audit_records import Measure

# A format is rare if at most this share of examples has it.
RARE_SHARE = 0.01
# Distance from the median, in units of a normal distribution's standard deviation: of 10,000
# normal values, none lies this far out by chance.
FAR_DEVIATIONS = 6.0
# Distances of foreign and of merely unusual examples overlap, so the list is ranked.
FAR_DISTANCE = 2.5
# Smallest deviation that can be an outlier: if most values are equal, their deviation is zero.
_LEAST_DISTANCE_DEVIATION = 0.05
# With fewer examples, the usual range is unknown.
_FEWEST = 20
# With fewer examples, the class mean is mostly the example itself.
_FEWEST_OF_CLASS = 5


def find_odd_ones(seen: SeenExamples) -> tuple[Finding, ...]:
    """Find examples in a rare format, or far from the others in a measure."""
    if len(seen) < _FEWEST:
        return ()
    measures = seen.modality.list_measures(seen.checked)
    return (*_find_rare(seen), *(each for m in measures for each in _find_far(seen, m)))


def _find_rare(seen: SeenExamples) -> Iterator[Finding]:
    kinds = seen.modality.name_kinds(seen.checked)
    counts = Counter(kinds)
    rare = [i for i, kind in enumerate(kinds) if counts[kind] <= RARE_SHARE * len(kinds)]
    if rare:
        usual = counts.most_common(1)[0][0]
        yield Finding(
            "odd_format",
            "warning",
            f"{seen.count(len(rare))} stored in a rare format; the usual one is {usual}. Such "
            "files are often placeholders or of another origin: look at them.",
            tuple(Flagged(seen.names[place], kinds[place]) for place in rare),
        )


def _find_far(seen: SeenExamples, measure: Measure) -> Iterator[Finding]:
    deviations = np.abs(deviate(measure.values, measure.least_deviation))
    far = [place for place in np.argsort(-deviations) if deviations[place] > FAR_DEVIATIONS]
    if far:
        usual = measure.texts[int(np.argsort(measure.values)[len(measure.values) // 2])]
        yield Finding(
            f"odd_{measure.name}",
            "warning",
            f"{seen.count(len(far))} far from the others in {measure.name} (more than "
            f"{FAR_DEVIATIONS:g} deviations from the median, {usual}). Check whether they belong "
            "here.",
            tuple(Flagged(seen.names[place], measure.texts[place]) for place in far),
        )


def deviate(values: np.ndarray, least_deviation: float) -> np.ndarray:
    """Compute how many deviations each value lies above the median.

    The deviation is that of a normal distribution with the same median distance from the
    median, which a few extreme values do not change.

    Args:
        values: Values (examples,).
        least_deviation: Lower bound of the deviation.
    """
    middle = np.median(values)
    # 1.4826: standard deviation of a normal distribution over its median distance.
    deviation = 1.4826 * float(np.median(np.abs(values - middle)))
    deviations: np.ndarray = (values - middle) / max(deviation, least_deviation)
    return deviations


def measure_distances(vectors: np.ndarray, classes: np.ndarray, *, block: int = 1024) -> np.ndarray:
    """Measure the distance of each vector from the mean of the others of its class, (examples,).

    The distance is one minus the cosine of the angle, in units of its median within the class,
    because some classes are wider than others; it is 1 if a class has too few examples.

    Args:
        vectors: Vectors (examples, features), possibly memory-mapped; read in blocks.
        classes: Class of each example, int64 (examples,).
        block: Number of rows to read at once.
    """
    counts = np.bincount(classes)
    sums = np.zeros((len(counts), vectors.shape[1]))
    for rows in _blocks(len(vectors), block):
        np.add.at(sums, classes[rows], _normalise(take_rows(vectors, rows)))
    distances = np.empty(len(vectors))
    for rows in _blocks(len(vectors), block):
        directions = _normalise(take_rows(vectors, rows))
        # Without the example itself, which would pull the mean of its class toward it.
        means = _normalise(sums[classes[rows]] - directions)
        distances[rows] = 1.0 - (directions * means).sum(axis=1)
    for each in np.flatnonzero(counts):
        members = classes == each
        typical = float(np.median(distances[members]))
        is_measured = counts[each] >= _FEWEST_OF_CLASS and typical > 0
        distances[members] = distances[members] / typical if is_measured else 1.0
    return distances


def _normalise(vectors: np.ndarray) -> np.ndarray:
    """Scale to float64 vectors of length 1."""
    wide = vectors.astype(np.float64)
    # The difference of equal vectors is rounding error without a direction.
    unit: np.ndarray = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9)
    return unit


def _blocks(total: int, block: int) -> Iterator[np.ndarray]:
    for begin in range(0, total, block):
        yield np.arange(begin, min(begin + block, total))


def find_far_features(
    seen: SeenExamples, distances: np.ndarray, backbone: str
) -> tuple[Finding, ...]:
    """Find examples that a backbone sees as unlike the others of their class, furthest first.

    Args:
        seen: Examples to check.
        distances: Distances from `measure_distances`.
        backbone: Name of the backbone that gave the features.
    """
    if len(seen) < _FEWEST:
        return ()
    deviations = deviate(distances, _LEAST_DISTANCE_DEVIATION)
    far = [place for place in np.argsort(-deviations) if deviations[place] > FAR_DISTANCE]
    if not far:
        return ()
    return (
        Finding(
            "outliers",
            "note",
            f"{seen.count(len(far))} unlike the others of the same class, by the features of "
            f"{backbone} (more than {FAR_DISTANCE:g} deviations beyond the usual distance from the "
            "mean, furthest first). Check whether the first of them belong here.",
            tuple(
                Flagged(
                    seen.names[place],
                    f"{seen.label(place)}, {distances[place]:.1f} times the usual distance",
                )
                for place in far
            ),
        ),
    )
