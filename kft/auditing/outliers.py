"""Pictures that are unlike all others: in a property, or in what a backbone sees in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from kft.auditing.audit import Finding, Flagged, count
from kft.auditing.pictures import Pictures
from kft.linear.problem import take_rows

# What no more than one picture in a hundred has is odd.
RARE_SHARE = 0.01
# Deviations from the median, in units of a normal distribution's standard deviation: of 10,000
# normal values not one lies that far out by chance.
FAR_DEVIATIONS = 6.0
# Distances of foreign pictures and of odd ones overlap: the list is ranked, and may be short.
FAR_DISTANCE = 2.5
# Where most values are equal their deviation is zero; so much difference is never odd.
_LEAST_SIZE_DEVIATION = np.log(1.25)
_LEAST_GREY_DEVIATION = 8.0
_LEAST_DISTANCE_DEVIATION = 0.05
# Below, there is no telling what is usual.
_FEWEST = 20
# A class mean over fewer is mostly the picture itself.
_FEWEST_OF_CLASS = 5


def find_odd_ones(pictures: Pictures) -> tuple[Finding, ...]:
    """Pictures of a rare format and mode, or of a size, shape or brightness far from the others."""
    if len(pictures) < _FEWEST:
        return ()
    sizes = np.array(pictures.shown_sizes, np.float64)
    names = [f"{width} x {height}" for width, height in pictures.shown_sizes]
    greys = pictures.column("brightness")
    return (
        *_find_rare(pictures),
        *_find_far(pictures, "size", np.log(sizes.prod(axis=1)), _LEAST_SIZE_DEVIATION, names),
        *_find_far(
            pictures, "shape", np.log(sizes[:, 0] / sizes[:, 1]), _LEAST_SIZE_DEVIATION, names
        ),
        *_find_far(
            pictures,
            "brightness",
            greys,
            _LEAST_GREY_DEVIATION,
            [f"mean grey value {grey:.0f}" for grey in greys],
        ),
    )


def _find_rare(pictures: Pictures) -> Iterator[Finding]:
    kinds = [f"{each.format} in mode {each.mode}" for each in pictures.inspections]
    counts = Counter(kinds)
    rare = [i for i, kind in enumerate(kinds) if counts[kind] <= RARE_SHARE * len(kinds)]
    if rare:
        usual = counts.most_common(1)[0][0]
        yield Finding(
            "odd_format",
            "warning",
            f"{count(len(rare), 'picture')} stored as few others are; usual is {usual}. Often such "
            "a file is a placeholder, a drawing, or of another origin: look at it.",
            tuple(Flagged(pictures.names[place], kinds[place]) for place in rare),
        )


def _find_far(
    pictures: Pictures,
    name: str,
    values: np.ndarray,
    least_deviation: float,
    notes: Sequence[str],
) -> Iterator[Finding]:
    deviations = np.abs(deviate(values, least_deviation))
    far = [place for place in np.argsort(-deviations) if deviations[place] > FAR_DEVIATIONS]
    if far:
        usual = notes[int(np.argsort(values)[len(values) // 2])]
        yield Finding(
            f"odd_{name}",
            "warning",
            f"{count(len(far), 'picture')} far from the others in {name} (more than "
            f"{FAR_DEVIATIONS:g} deviations from the median, {usual}). Look whether they belong "
            "here.",
            tuple(Flagged(pictures.names[place], notes[place]) for place in far),
        )


def deviate(values: np.ndarray, least_deviation: float) -> np.ndarray:
    """How many deviations each value lies above the median.

    The deviation is that of a normal distribution with the same median distance from the
    median, which a few wild values do not move.

    Args:
        values: (values,)
        least_deviation: What it is at least.
    """
    middle = np.median(values)
    # 1.4826: a normal distribution's deviation over its median distance.
    deviation = 1.4826 * float(np.median(np.abs(values - middle)))
    deviations: np.ndarray = (values - middle) / max(deviation, least_deviation)
    return deviations


def measure_distances(vectors: np.ndarray, classes: np.ndarray, *, block: int = 1024) -> np.ndarray:
    """How far each vector points away from the mean of the others of its class, (pictures,).

    One less the cosine of the angle, in units of its median within the class, since some classes
    are wider than others; 1 where a class has too few to tell.

    Args:
        vectors: (pictures, features), possibly memory-mapped; read in blocks.
        classes: Class of each, int64 (pictures,).
        block: Rows that are read at once.
    """
    counts = np.bincount(classes)
    sums = np.zeros((len(counts), vectors.shape[1]))
    for rows in _blocks(len(vectors), block):
        np.add.at(sums, classes[rows], _normalise(take_rows(vectors, rows)))
    distances = np.empty(len(vectors))
    for rows in _blocks(len(vectors), block):
        directions = _normalise(take_rows(vectors, rows))
        # Of the others: a picture draws the mean of its class toward itself.
        means = _normalise(sums[classes[rows]] - directions)
        distances[rows] = 1.0 - (directions * means).sum(axis=1)
    for each in np.flatnonzero(counts):
        members = classes == each
        typical = float(np.median(distances[members]))
        is_told = counts[each] >= _FEWEST_OF_CLASS and typical > 0
        distances[members] = distances[members] / typical if is_told else 1.0
    return distances


def _normalise(vectors: np.ndarray) -> np.ndarray:
    """float64, of length 1."""
    wide = vectors.astype(np.float64)
    # A difference of equal vectors is rounding: it points nowhere.
    unit: np.ndarray = wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-9)
    return unit


def _blocks(total: int, block: int) -> Iterator[np.ndarray]:
    for begin in range(0, total, block):
        yield np.arange(begin, min(begin + block, total))


def find_far_features(
    pictures: Pictures, distances: np.ndarray, backbone: str
) -> tuple[Finding, ...]:
    """Pictures that look like no other of their class to a backbone, the furthest first.

    Args:
        pictures: What to look at.
        distances: As `measure_distances` gives them.
        backbone: Whose features they are.
    """
    if len(pictures) < _FEWEST:
        return ()
    deviations = deviate(distances, _LEAST_DISTANCE_DEVIATION)
    far = [place for place in np.argsort(-deviations) if deviations[place] > FAR_DISTANCE]
    if not far:
        return ()
    return (
        Finding(
            "outliers",
            "note",
            f"{count(len(far), 'picture')} unlike the others of the same class, by the features of "
            f"{backbone} (more than {FAR_DISTANCE:g} deviations beyond the usual distance from the "
            "mean, the furthest first). Look whether the first of them belong here.",
            tuple(
                Flagged(
                    pictures.names[place],
                    f"{pictures.label(place)}, {distances[place]:.1f} times the usual distance",
                )
                for place in far
            ),
        ),
    )
