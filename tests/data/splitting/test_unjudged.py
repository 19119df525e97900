from __future__ import annotations

import numpy as np

from kft.data.splitting.unjudged import describe_unjudged
from kft.examples import Examples, Files
from kft.tasks import find_task


def describe(train, validation, holdout, kind="class"):
    def make(targets):
        names = tuple(map(str, range(len(targets))))
        dtype = np.int64 if kind == "class" else np.float32
        shape = (-1,) if kind == "class" else (-1, 3)
        return Examples(names, Files(names), np.asarray(targets, dtype).reshape(shape))

    parts = {
        "train": make(train),
        "validation": make(validation),
        "holdout": make(holdout),
    }
    return describe_unjudged(parts, find_task(kind), ("cat", "dog", "owl"))


def test_classes_in_train_alone_are_named_with_their_counts():
    (note,) = describe([0, 1, 1, 2], [0], [0])
    assert "2 classes, dog (2 in train), owl (1 in train)" in note
    assert note.startswith("learned but not judged")
    assert "data.split.rare=refuse" in note


def test_a_class_that_one_split_lacks_is_named_with_the_split():
    assert describe([0, 1, 2], [0, 1, 2], [0, 1]) == (
        "not judged on holdout, which has no examples of them: 1 class, owl (1 in train).",
    )


def test_labels_that_are_nowhere_on_are_not_judged():
    (note,) = describe([[1, 1, 0], [0, 1, 0]], [[1, 0, 0]], [[1, 0, 0]], kind="labels")
    assert "1 label, dog (2 in train)" in note


def test_nothing_is_said_where_all_is_judged_or_nothing_is():
    assert describe([0, 1, 2], [0, 1, 2], [0, 1, 2]) == ()
    assert describe([0, 1, 2], [], []) == ()
    assert describe([[0, 1, 2]], [[0, 0, 0]], [[0, 0, 0]], kind="number") == ()
