"""Mistakes: highest losses, confused pairs, and an order of classes that shows who is confused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kft.tasks import Task

# Classes beyond which a confusion matrix is sorted, so that confused classes are neighbours.
MOST_UNSORTED = 20


@dataclass(frozen=True)
class Confusion:
    """A pair of classes that the model takes for each other, in one direction.

    Attributes:
        true: Index of the true class.
        predicted: Index of the class that was answered.
        examples: Positions of the confused examples, the surest answers first.
        share: Their share of all examples of the true class.
    """

    true: int
    predicted: int
    examples: np.ndarray
    share: float


def find_highest_losses(losses: np.ndarray, count: int) -> np.ndarray:
    """Find the positions of the highest losses, highest first.

    Args:
        losses: Loss of each example (examples,).
        count: Number of positions.
    """
    return np.argsort(-losses, kind="stable")[:count]


@dataclass(frozen=True)
class RankedMistakes:
    """Mistakes of a model, those with the highest losses first.

    Attributes:
        places: Positions of the wrong answers; of all answers if none is wrong, or if answers are
            not right or wrong.
        losses: Loss of each example (examples,).
        right: Whether each answer is right; None if answers are not right or wrong.
    """

    places: np.ndarray
    losses: np.ndarray
    right: np.ndarray | None


def compute_losses(task: Task, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Compute the loss of each example (examples,); numbers count in deviations of the targets.

    Args:
        task: Task of the answers.
        outputs: Outputs in the unit of the targets.
        targets: Targets as in `Examples.targets`.
    """
    if task.is_stratified:
        return task.figures.example_losses(outputs, targets)
    deviations = targets.std(axis=0)
    units = np.where(deviations > 0, deviations, 1.0)
    return task.figures.example_losses(outputs / units, targets / units)


def rank_mistakes(task: Task, outputs: np.ndarray, targets: np.ndarray) -> RankedMistakes:
    """Rank the mistakes of a model by their losses.

    Args:
        task: Task of the answers.
        outputs: Outputs in the unit of the targets.
        targets: Targets as in `Examples.targets`.
    """
    losses = compute_losses(task, outputs, targets)
    right = task.figures.are_right(outputs, targets)
    places = find_highest_losses(losses, len(losses))
    if right is not None and not right.all():
        places = places[~right[places]]
    return RankedMistakes(places, losses, right)


def find_confusions(
    targets: np.ndarray, predicted: np.ndarray, confidence: np.ndarray
) -> list[Confusion]:
    """Find the pairs of classes that are confused, the most frequent first.

    Args:
        targets: Index of the class of each example (examples,).
        predicted: Index of the answered class (examples,).
        confidence: Probability of the answer (examples,).
    """
    wrong = np.flatnonzero(targets != predicted)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    support = np.bincount(targets)
    pairs, codes = np.unique(
        np.stack([targets[wrong], predicted[wrong]], axis=1), axis=0, return_inverse=True
    )
    order = np.argsort(codes, kind="stable")
    members = np.split(wrong[order], np.cumsum(np.bincount(codes, minlength=len(pairs)))[:-1])
    found = [
        Confusion(true, answer, places, len(places) / int(support[true]))
        for (true, answer), places in zip(pairs.tolist(), members, strict=False)
    ]
    return sorted(found, key=lambda each: -len(each.examples))


def count_confusions(targets: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    """Count examples by true and answered class, int64 (classes, classes).

    Args:
        targets: Index of the class of each example (examples,).
        predicted: Index of the answered class (examples,).
        num_classes: Number of classes.
    """
    pairs = np.asarray(targets, np.int64) * num_classes + predicted
    counts = np.bincount(pairs, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def order_classes(confusion: np.ndarray) -> np.ndarray:
    """Order classes so that those that are confused are neighbours; up to 20 stay as they are.

    Args:
        confusion: Number of examples by true and answered class (classes, classes).
    """
    num_classes = len(confusion)
    if num_classes <= MOST_UNSORTED:
        return np.arange(num_classes)
    from scipy.cluster import hierarchy

    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    likeness = (shares + shares.T) / 2
    distances = 1 - likeness[np.triu_indices(num_classes, 1)]
    leaves: np.ndarray = hierarchy.leaves_list(hierarchy.linkage(distances, "average"))
    return leaves
