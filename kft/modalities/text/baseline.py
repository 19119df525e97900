"""The baseline of texts: word counts and a linear model, which reads no pretrained weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kft.examples import Examples, Files
from kft.tasks import Task

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
    from sklearn.linear_model import LogisticRegression, Ridge

    counter = TfidfVectorizer(ngram_range=(1, 2), decode_error="replace")
    try:
        counts = counter.fit_transform(_read(train))
    except ValueError:
        return None  # its only error here: no word at all
    asked_counts = counter.transform(_read(asked))
    if not task.is_stratified:
        found: np.ndarray = Ridge().fit(counts, train.targets).predict(asked_counts)
        return found.reshape(len(asked), num_names)
    columns = [train.targets] if task.has_classes else list(train.targets.T)
    answers = []
    for targets in columns:
        classes = np.unique(targets).astype(int)
        if len(classes) == 1:  # a label that all or none of the examples have
            answers.append(np.eye(max(num_names, 2))[np.full(len(asked), classes[0])])
            continue
        model = LogisticRegression(max_iter=1_000).fit(counts, targets.astype(int))
        given = np.zeros((len(asked), max(num_names, 2)))
        given[:, classes] = model.predict_proba(asked_counts)
        answers.append(given)
    if task.has_classes:
        return answers[0][:, :num_names]
    return np.stack([given[:, 1] for given in answers], axis=1)


def _read(examples: Examples) -> list[bytes]:
    inputs = examples.inputs
    if isinstance(inputs, Files):
        return [Path(path).read_bytes() for path in inputs.paths]
    return list(inputs.contents)
