"""The head alone: kft's solution beside scikit-learn's search. Called in processes of their own."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from plain import BATCH_SIZE, read_folder
from sklearn.linear_model import LogisticRegressionCV

from kft.linear import LinearTargets, solve_linear
from kft.tasks.classification.linear import ClassLoss

NUM_FOLDS = 5


def extract(data: str, *, options: dict[str, Any], size: int, path: str) -> list[int]:
    """Write the pooled features of MobileNetV2 and the classes; gives the features' shape."""
    base = keras.applications.MobileNetV2(
        input_shape=(size, size, 3), include_top=False, pooling="avg", **options
    )
    features, targets = [], []
    for pixels, target in read_folder(data, size).batch(BATCH_SIZE):
        features.append(base(pixels / 127.5 - 1, training=False).numpy())
        targets.append(target.numpy())
    np.savez(path, features=np.concatenate(features), targets=np.concatenate(targets))
    return [sum(map(len, targets)), base.output_shape[-1]]


def solve_by_kft(path: str) -> dict[str, Any]:
    """Seconds of the first solution of a process, its penalties and cross-validated accuracy."""
    features, targets = _load(path)
    dense = np.eye(targets.max() + 1, dtype=np.float32)[targets]
    begun = time.monotonic()
    solution = solve_linear(features, LinearTargets(dense), ClassLoss())
    return {
        "seconds": time.monotonic() - begun,
        "penalties": [attempt.penalty for attempt in solution.path],
        "score": solution.best.score,
    }


def solve_by_scikit_learn(path: str, penalties: Sequence[float]) -> dict[str, Any]:
    """The same for its search over these penalties."""
    features, targets = _load(path)
    # It weighs the sum of losses, and the squared norm by one half.
    weights = [1 / (2 * penalty) for penalty in penalties]
    begun = time.monotonic()
    with warnings.catch_warnings():
        # Names of its results that are to change.
        warnings.simplefilter("ignore", FutureWarning)
        search = LogisticRegressionCV(Cs=weights, cv=NUM_FOLDS, max_iter=1000, n_jobs=-1)
        search.fit(features, targets)
    seconds = time.monotonic() - begun
    # Class -> (folds, penalties); of several classes all are the same.
    scores = np.array(next(iter(search.scores_.values()))).reshape(NUM_FOLDS, -1)
    return {"seconds": seconds, "score": float(scores.mean(axis=0).max())}


def _load(path: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(path) as file:
        return file["features"], file["targets"]
