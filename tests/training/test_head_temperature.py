"""A temperature in the head answers as one on the logits, and changes no answer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from kft.config import HeadConfig
from kft.model import HEAD
from kft.tasks import find_task, make_head
from kft.training.temperature import cool, divide_logits, find_temperature

NAMES = ("cat", "dog", "owl")
TARGETS = {
    "class": np.arange(60) % 3,
    "labels": np.eye(3, dtype=np.float32)[np.arange(60) % 3],
    "number": np.random.default_rng(0).normal(0, 1, (60, 3)),
}


def head_of(kind: str):
    return make_head(HeadConfig(), find_task(kind), NAMES, TARGETS[kind])


@pytest.mark.parametrize("kind", ["class", "labels"])
def test_logits_are_found_that_give_the_same_probabilities(kind):
    head = head_of(kind)
    logits = np.random.default_rng(1).normal(0, 3, (20, 3)).astype(np.float32)
    outputs = np.asarray(head.activate(logits))
    again = np.asarray(head.activate(head.find_logits(outputs)))
    assert again == pytest.approx(outputs, abs=1e-5)
    certain = head.find_logits(np.array([[1.0, 0.0, 0.0]]))
    assert np.isfinite(certain).all()


def test_numbers_have_no_temperature():
    assert find_temperature(head_of("number"), TARGETS["number"], TARGETS["number"]) is None


def test_a_divided_head_answers_as_divided_logits(assemble_tiny):
    assembled = assemble_tiny(head=head_of("class"))
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    before = assembled.blocks.digests()
    plain = np.asarray(assembled.head.activate(assembled.model({"pixels": pixels})))
    divide_logits(assembled.model, 2.0)
    cooled = np.asarray(assembled.head.activate(assembled.model({"pixels": pixels})))
    assert cooled == pytest.approx(cool(assembled.head, plain, 2.0), abs=1e-5)
    assert (cooled.argmax(axis=1) == plain.argmax(axis=1)).all()
    after = assembled.blocks.digests()
    assert {name for name in before if before[name] != after[name]} == {HEAD}


def test_labels_stay_on_their_side_of_one_half():
    head = head_of("labels")
    outputs = special.expit(np.random.default_rng(2).normal(0, 2, (50, 3)))
    cooled = cool(head, outputs, 3.0)
    assert ((cooled > 0.5) == (outputs > 0.5)).all()
