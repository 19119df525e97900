"""Other data, judged by a finished run."""

from __future__ import annotations

import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from data.made import make_found

from kft.data import Splits
from kft.errors import DataError
from kft.finished import _translate_targets

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def translate(names: tuple[str, ...], known: tuple[str, ...]) -> list[int]:
    """The classes of one example of each name, by a model that knows others."""
    examples = make_found(np.arange(len(names))).examples
    nothing = examples.take([])
    splits = Splits(examples, nothing, nothing, "class", names, fingerprint="", origin="")
    head = SimpleNamespace(class_names=known, target_kind="class")
    return _translate_targets(splits, SimpleNamespace(head=head)).targets.tolist()


def test_classes_of_other_data_get_the_indices_of_the_model():
    assert translate(("dog", "cat"), ("cat", "cow", "dog")) == [2, 0]


def test_a_model_of_before_may_have_learnt_a_name_in_decomposed_letters():
    assert translate((COMPOSED, "vache"), ("vache", DECOMPOSED)) == [1, 0]


def test_classes_that_a_model_does_not_know_are_named_with_the_ones_they_may_mean():
    with pytest.raises(DataError, match=r"not know: 'Cat' \(does it mean 'cat'\?\), owl\. It"):
        translate(("Cat", "owl"), ("cat", "dog"))
