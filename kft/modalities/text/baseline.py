"""The baseline of texts: word counts and a linear model, which reads no pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kft.examples import Examples, Files
from kft.tasks import Task

# The inverse of the penalty. Counts of pairs are sparse: on sst2 1 gives .782, 10 gives .812.
_PENALTY = 10.0
# Keeps shares defined where no class has a chance.
_LEAST = 1e-12
NAME = "TF-IDF of words and pairs, logistic regression"


def answer_by_word_counts(
    train: Examples, asked: Examples, task: Task, num_names: int
) -> np.ndarray | None:
    """Answer about texts by a linear model of their words and pairs of words.

    Args:
        train: Training texts with their targets.
        asked: Texts to answer about; their targets are not read.
        task: Task of the targets; numbers get ridge regression.
        num_names: Number of names of the task.

    Returns:
        Probabilities, or numbers in the unit of the targets (examples, names); None if the
        training texts hold no words of two letters.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    counter = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, decode_error="replace")
    try:
        counts = counter.fit_transform(_read(train))
    except ValueError:
        return None  # its only error here: no word at all
    others = counter.transform(_read(asked))
    targets = train.targets
    if not task.is_stratified:
        found: np.ndarray = Ridge().fit(counts, targets).predict(others)
        return found.reshape(len(asked), num_names)
    if not task.has_classes:
        flags = [_find_chance(counts, column > 0.5, others) for column in targets.T]
        return np.stack(flags, axis=1)
    if num_names == 2:
        chance = _find_chance(counts, targets == 1, others)
        return np.stack([1.0 - chance, chance], axis=1)
    chances = [_find_chance(counts, targets == place, others) for place in range(num_names)]
    stacked = np.stack(chances, axis=1) + _LEAST
    shares: np.ndarray = stacked / stacked.sum(axis=1, keepdims=True)
    return shares


def _find_chance(counts: Any, is_true: np.ndarray, others: Any) -> np.ndarray:
    """Chance that a flag is set, by logistic regression; one that never varies stays as it is."""
    from sklearn.linear_model import LogisticRegression

    if is_true.all() or not is_true.any():
        return np.full(others.shape[0], float(is_true[0]))
    # liblinear needs a hundredth of the time of the default for so many columns.
    model = LogisticRegression(C=_PENALTY, solver="liblinear").fit(counts, is_true)
    chance: np.ndarray = model.predict_proba(others)[:, 1]
    return chance


def _read(examples: Examples) -> list[bytes]:
    inputs = examples.inputs
    if isinstance(inputs, Files):
        return [Path(path).read_bytes() for path in inputs.paths]
    return list(inputs.contents)
