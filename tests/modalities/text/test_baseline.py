"""Word counts and a linear model answer about texts in the unit of any task."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.baselines import ask_modality
from kft.examples import Examples, Files, Values
from kft.modalities import load_modality
from kft.modalities.text.baseline import NAME, answer_by_word_counts
from kft.tasks import load_task

GOOD, BAD = "a fine and lovely film", "a dull and awful film"


def make(texts, targets) -> Examples:
    contents = tuple(text.encode() for text in texts)
    return Examples(tuple(map(str, range(len(texts)))), Values(contents), np.asarray(targets))


def answer(train, asked, task: str, num_names: int):
    return answer_by_word_counts(train, asked, load_task(task), num_names)


def test_classes_get_probabilities_in_the_order_of_the_names():
    train = make([GOOD, BAD] * 20, [2, 0] * 20)
    found = answer(train, make([GOOD, BAD, ""], [0, 0, 0]), "classification", 3)
    assert found.shape == (3, 3)
    assert found.argmax(axis=1)[:2].tolist() == [2, 0]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found[:, 1].max() < 1e-9


def test_labels_get_a_probability_each_and_a_constant_label_stays():
    targets = np.array([[1, 0, 1], [0, 1, 1]] * 20, np.float32)
    found = answer(make([GOOD, BAD] * 20, targets), make([GOOD], [[0, 0, 0]]), "multilabel", 3)
    assert found.shape == (1, 3)
    assert found[0, 0] > 0.7 > 0.3 > found[0, 1] and found[0, 2] == 1


def test_numbers_are_in_their_unit():
    train = make([GOOD, BAD] * 20, np.array([[200.0], [100.0]] * 20))
    found = answer(train, make([GOOD, BAD], [[0.0], [0.0]]), "regression", 1)
    assert found.shape == (2, 1)
    assert abs(found - [[200], [100]]).max() < 20


def test_texts_without_words_have_no_such_baseline(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"! \xff ?")
    files = Examples(("a",) * 2, Files((str(tmp_path / "a.txt"),) * 2), np.array([0, 1]))
    assert answer(files, files, "classification", 2) is None


@pytest.mark.parametrize("task", ["classification"])
def test_it_is_judged_as_the_model_is(task):
    train, asked = make([GOOD, BAD] * 20, [1, 0] * 20), make([GOOD, BAD] * 5, [1, 0] * 5)
    modality = load_modality("text")
    (found,) = ask_modality(modality, train, asked, load_task(task), 2)
    assert found.name == NAME and found.seconds > 0
    assert (found.outputs.argmax(axis=1) == asked.targets).all()
    assert not list(ask_modality(load_modality("image"), train, asked, load_task(task), 2))
