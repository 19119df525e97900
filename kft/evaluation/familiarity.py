"""Familiarity of inputs: the distance of feature vectors from those of the training examples."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from kft.evaluation.neighbours import find_neighbours, normalise
from kft.runs.atomic import write_arrays
from kft.statistics import rank_columns

# Training examples that distances are computed from.
_MAX_EXAMPLES = 10_000
# Share of the training examples whose distances show what is usual.
_HELD_OUT = 0.2
# Share of inputs like those of training that may look unfamiliar.
_CALLED = 0.01
# The distance to a single neighbour would depend on chance, that to many on the size of a class.
_NUM_NEIGHBOURS = 5
# Examples whose distances are computed at once.
_ROWS = 512
_FILE = "familiarity.npz"


@dataclass(frozen=True)
class Familiarity:
    """Distances of feature vectors from training examples.

    Attributes:
        centres: Mean of each class, or of all examples, after `whitening` (centres, directions).
        whitening: Matrix that makes the scatter within classes round (features, directions).
        usual: Mahalanobis distances of training examples that nothing was learned from (usual,).
    """

    centres: np.ndarray
    whitening: np.ndarray
    usual: np.ndarray

    @property
    def limit(self) -> float:
        """Mahalanobis distance beyond which an input looks like nothing that was seen."""
        ranked = np.sort(self.usual)
        place = min(int(np.ceil((1 - _CALLED) * len(ranked))), len(ranked) - 1)
        # Between two distances, or beyond the largest, so that rounding decides nothing.
        above = ranked[place + 1] if place + 1 < len(ranked) else 1.1 * ranked[place]
        return float((ranked[place] + above) / 2)

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
    known: np.ndarray, features: np.ndarray, *, num_neighbours: int = _NUM_NEIGHBOURS
) -> np.ndarray:
    """Distance to a near training example, between vectors of length 1 (examples,).

    Args:
        known: Feature vectors of training examples (known, features).
        features: Feature vectors (examples, features).
        num_neighbours: The neighbour whose distance counts, 1 for the nearest.

    Source: Sun et al., Out-of-Distribution Detection with Deep Nearest Neighbors,
    arXiv:2204.06507.
    """
    distances: np.ndarray = find_neighbours(normalise(known), features, num_neighbours)[1][:, -1]
    return distances


def fit_familiarity(
    features: np.ndarray, classes: np.ndarray | None = None, *, seed: int = 0
) -> Familiarity:
    """Learn the scatter of training examples, and how far others of them lie from it.

    The scatter is shrunk toward one without correlations, because there are often fewer examples
    than features.

    Args:
        features: Feature vectors of training examples (examples, features), at least 4.
        classes: Index of the class of each example (examples,); None if there are no classes.
        seed: Seed of the choice of examples: at most 10,000 are used, and a fifth of them only
            shows which distances are usual.

    Source: Ledoit and Wolf, A Well-Conditioned Estimator for Large-Dimensional Covariance
    Matrices (2004), for the shrinkage.
    """
    if classes is None:
        classes = np.zeros(len(features), np.int64)
    order = np.random.default_rng(seed).permutation(len(features))[:_MAX_EXAMPLES]
    num_held = max(1, round(_HELD_OUT * len(order)))
    held, learned = order[:num_held], order[num_held:]
    centres, whitening = _whiten(np.asarray(features[learned], np.float64), classes[learned])
    fitted = Familiarity(centres, whitening, np.zeros(1))
    return replace(fitted, usual=fitted.mahalanobis(features[held]))


def _whiten(features: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the centres of classes after whitening, and the whitening."""
    from sklearn.covariance import ledoit_wolf

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
    return centres @ whitening, whitening


def write_familiarity(folder: Path, familiarity: Familiarity) -> None:
    """Write familiarity.npz, in float32.

    Args:
        folder: Folder of the run.
        familiarity: What to write.
    """
    arrays = {
        each.name: np.asarray(getattr(familiarity, each.name), np.float32)
        for each in fields(familiarity)
    }
    write_arrays(folder / _FILE, arrays)


def read_familiarity(folder: Path) -> Familiarity | None:
    """Read what `write_familiarity` wrote; None if it was not called.

    Args:
        folder: Folder of the run.
    """
    if not (folder / _FILE).is_file():
        return None
    with np.load(folder / _FILE, allow_pickle=False) as arrays:
        return Familiarity(**arrays)


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
