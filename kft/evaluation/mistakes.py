"""Mistakes: highest losses, confused pairs, and an order of classes that shows who is confused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
