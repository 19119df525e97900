"""Familiarity of inputs: the distance of feature vectors from those of the training examples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kft.evaluation.neighbours import find_neighbours, normalise
from kft.statistics import rank_columns

# Training examples that distances are computed from.
_MAX_EXAMPLES = 10_000
# The distance to a single neighbour would depend on chance, that to many on the size of a class.
_NUM_NEIGHBOURS = 5
# Examples whose distances are computed at once.
_ROWS = 512


@dataclass(frozen=True)
class Familiarity:
    """Distances of feature vectors from training examples.

    Attributes:
        centres: Mean of each class, or of all examples, after `whitening` (centres, directions).
        whitening: Matrix that makes the scatter within classes round (features, directions).
        examples: Feature vectors of training examples, each of length 1 (examples, features).
    """

    centres: np.ndarray
    whitening: np.ndarray
    examples: np.ndarray

    def mahalanobis(self, features: np.ndarray) -> np.ndarray:
        """Distance to the nearest centre, in units of the scatter within classes (examples,).

        Args:
            features: Feature vectors (examples, features).

        Source: Lee et al., A Simple Unified Framework for Detecting Out-of-Distribution Samples,
        arXiv:1807.03888.
        """
        nearest = []
        for block in _blocks(features):
            placed = block @ self.whitening
            nearest.append(_squared_distances(placed, self.centres).min(axis=1))
        distances: np.ndarray = np.sqrt(np.concatenate(nearest))
        return distances

    def neighbour_distance(
        self, features: np.ndarray, *, num_neighbours: int = _NUM_NEIGHBOURS
    ) -> np.ndarray:
        """Distance to a near training example, between vectors of length 1 (examples,).

        Args:
            features: Feature vectors (examples, features).
            num_neighbours: The neighbour whose distance counts, 1 for the nearest.

        Source: Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors,
        arXiv:2204.06507.
        """
        _, near = find_neighbours(self.examples, features, num_neighbours)
        distances: np.ndarray = near[:, -1]
        return distances


def fit_familiarity(
    features: np.ndarray, classes: np.ndarray | None = None, *, seed: int = 0
) -> Familiarity:
    """Learn the scatter of training examples.

    The scatter is shrunk toward one without correlations, because there are often fewer examples
    than features.

    Args:
        features: Feature vectors of training examples (examples, features), at least 2.
        classes: Index of the class of each example (examples,); None if there are no classes.
        seed: Seed of the choice of examples, if there are more than 10,000.

    Source: Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance
    Matrices (2004), for the shrinkage.
    """
    from sklearn.covariance import ledoit_wolf

    if classes is None:
        classes = np.zeros(len(features), np.int64)
    if len(features) > _MAX_EXAMPLES:
        chosen = np.random.default_rng(seed).choice(len(features), _MAX_EXAMPLES, replace=False)
        features, classes = features[chosen], classes[chosen]
    features = np.asarray(features, np.float64)
    codes = np.unique(classes, return_inverse=True)[1]
    sums = np.zeros((int(codes.max()) + 1, features.shape[1]))
    np.add.at(sums, codes, features)
    centres = sums / np.bincount(codes)[:, np.newaxis]
    offsets = features - centres[codes]
    # Features that never vary within a class have no unit.
    scales = offsets.std(axis=0)
    units = np.where(scales > np.finfo(np.float32).eps * np.abs(features).max(), scales, np.inf)
    scatter, _ = ledoit_wolf(offsets / units, assume_centered=True)
    variances, directions = np.linalg.eigh(scatter)
    known = variances > np.finfo(np.float32).eps * variances[-1]
    whitening = directions[:, known] / np.sqrt(variances[known]) / units[:, np.newaxis]
    return Familiarity(centres @ whitening, whitening, normalise(features))


def measure_unfamiliar(
    familiar: np.ndarray, unfamiliar: np.ndarray
) -> tuple[float, tuple[float, float] | None]:
    """Measure how well distances tell unfamiliar inputs from familiar ones, as ROC AUC.

    Args:
        familiar: Distances of examples like those of training, but not of training (examples,).
        unfamiliar: Distances of other inputs (others,).

    Returns:
        ROC AUC, and its 95 % interval; None for a perfect one.
    """
    scores = np.concatenate([familiar, unfamiliar])
    is_unfamiliar = np.arange(len(scores)) >= len(familiar)
    ranking = rank_columns([is_unfamiliar], scores[:, np.newaxis])
    low, high = ranking.find_intervals()[0].tolist()
    return float(ranking.roc_auc[0]), None if np.isnan(low) else (low, high)


def _blocks(features: np.ndarray) -> list[np.ndarray]:
    starts = range(0, len(features), _ROWS)
    return [np.asarray(features[start : start + _ROWS], np.float64) for start in starts]


def _squared_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    squares = np.square(one).sum(axis=1)[:, np.newaxis] + np.square(other).sum(axis=1)
    distances: np.ndarray = np.maximum(squares - 2 * one @ other.T, 0.0)
    return distances
