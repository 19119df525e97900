"""Risks are reported before training."""

from dataclasses import replace

import numpy as np
import pytest
from phases import changed, phase_of

from kft.config import LoraConfig
from kft.examples import Examples, Files, Splits
from kft.model import HEAD
from kft.planning import find_risks
from kft.strategies.phases import Folds
from kft.tasks import find_task

PROBE = phase_of("linear_probe", (HEAD,), 1e-3, 100, 10)
FULL = phase_of("full", ("stem", HEAD), 1e-3, 100, 10)
FOLDS = Folds((1e-3,), steps=25, judged_after=75, count=4)


@pytest.fixture
def pretrained(tiny_assembled):
    return replace(tiny_assembled.backbone, sha256="0" * 64)


def examples(*counts: int) -> Examples:
    targets = np.repeat(np.arange(len(counts)), counts)
    names = tuple(map(str, range(len(targets))))
    return Examples(names, Files(names), targets)


def splits(*train: int, holdout: int = 100, validation: int = 0, kind: str = "class") -> Splits:
    return Splits(
        train=examples(*train),
        validation=examples(validation),
        holdout=examples(holdout),
        task=find_task(kind),
        class_names=tuple("abcdefgh"[: len(train)]),
        fingerprint="f",
        origin="a test",
    )


def test_enough_examples_of_everything_are_no_risk(pretrained):
    assert find_risks(splits(200, 200), pretrained, (PROBE, FULL)) == []
    assert find_risks(splits(10, 10), pretrained, (PROBE,)) == []


def test_classes_with_few_examples_are_named(pretrained):
    (risk,) = find_risks(splits(9, 10, 0), pretrained, (PROBE,))
    assert "Fewer than 10 training examples in 2 classes (a, c): " in risk


def test_at_most_five_classes_are_named(pretrained):
    (risk,) = find_risks(splits(*[5] * 7), pretrained, (PROBE,))
    assert "in 7 classes (a, b, c, d, e, …)" in risk


def test_imbalance_is_reported_from_five_to_one(pretrained):
    assert find_risks(splits(499, 100), pretrained, (PROBE,)) == []
    (risk,) = find_risks(splits(100, 500), pretrained, (PROBE,))
    assert risk.startswith("Imbalance: 500 examples of 'b', 100 of 'a'.")


def test_targets_other_than_classes_are_not_counted_by_class(pretrained):
    numbers = splits(9, 1, kind="number")
    assert find_risks(numbers, pretrained, (PROBE,)) == []


def test_a_missing_or_small_holdout_is_reported(pretrained):
    (missing,) = find_risks(splits(200, holdout=0), pretrained, (PROBE,))
    assert missing.startswith("There is no holdout")
    (small,) = find_risks(splits(200, holdout=99), pretrained, (PROBE,))
    assert small.startswith("The holdout has 99 examples")


def test_random_weights_are_a_risk_until_there_are_many_examples(tiny_assembled):
    random = tiny_assembled.backbone
    (risk,) = find_risks(splits(100, 100), random, (FULL,))
    assert risk.startswith("The backbone starts from random weights and has 200 training")
    assert find_risks(splits(5000, 5000), random, (FULL,)) == []


@pytest.mark.parametrize(
    "changes",
    [{"lora": LoraConfig()}, {"part": "bias_norm"}, {"blends": True}, {"folds": FOLDS}],
    ids=lambda changes: next(iter(changes)),
)
def test_few_trainable_parameters_or_a_blend_guard_against_overfitting(pretrained, changes):
    given = splits(49, 50, validation=50)
    assert find_risks(given, pretrained, (PROBE, changed(FULL, **changes))) == []


@pytest.mark.parametrize("changes", [{"candidates": (FULL,)}, {"blends": True}])
def test_choices_on_few_validation_examples_are_a_risk(pretrained, changes):
    phases = (PROBE, changed(FULL, **changes))
    (risk,) = find_risks(splits(200, 200, validation=49), pretrained, phases)
    assert risk.startswith("Choices are made on 49 validation examples")
    assert find_risks(splits(200, 200, validation=50), pretrained, phases) == []
    assert find_risks(splits(200, 200), pretrained, (PROBE, FULL)) == []


def test_training_the_backbone_on_few_examples_is_a_risk_and_a_probe_is_not(pretrained):
    (risk,) = find_risks(splits(49, 50), pretrained, (PROBE, FULL))
    assert risk.startswith("Overfitting: the backbone's weights train on 99 examples")
    assert "strategy.name=linear_probe" in risk
    assert find_risks(splits(50, 50), pretrained, (PROBE, FULL)) == []
    assert find_risks(splits(49, 50), pretrained, (PROBE,)) == []
