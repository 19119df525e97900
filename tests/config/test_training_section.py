"""Contradictions within the section `training`."""

import pytest

from kft.config import PhaseConfig, TrainingConfig, load_pipeline
from kft.errors import ConfigError


def problems(*overrides: str) -> list[str]:
    overrides = tuple(f"training.{override}" for override in overrides)
    return list(load_pipeline(None, overrides).training.contradictions())


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("accumulation=4", "global_batch_size=32"),
        ("accumulation=3", "global_batch_size=auto"),
        ("accumulation=2", "jit_compile=auto"),
        ("mixup=0.2", "global_batch_size=2"),
        ("class_weights={a: 2, b: 1}", "logit_adjustment=1"),
        ("soup=2",),
    ],
)
def test_settings_that_do_not_contradict_each_other_pass(overrides):
    assert problems(*overrides) == []


@pytest.mark.parametrize(
    ("overrides", "path", "reason"),
    [
        (("accumulation=3",), "accumulation", "3 parts do not divide batches of 32"),
        (("accumulation=2", "jit_compile=true"), "jit_compile", "steps of a fixed size"),
        (("mixup=1", "global_batch_size=1"), "mixup", "mixes examples of one batch"),
        (("cutmix=1", "global_batch_size=1"), "cutmix", "mixes examples of one batch"),
        (("class_weights=balanced", "sampling=balanced"), "class_weights", "2 times"),
        (
            ("class_weights={a: 1, b: 2}", "sampling=balanced"),
            "class_weights",
            "training.sampling=balanced",
        ),
        (
            ("logit_adjustment=1", "sampling=balanced"),
            "sampling=balanced",
            "training.logit_adjustment",
        ),
        (
            ("class_weights=balanced", "sampling=balanced", "logit_adjustment=1"),
            "class_weights",
            "3 times",
        ),
    ],
)
def test_a_contradiction_is_reported_with_its_path_and_reason(overrides, path, reason):
    (problem,) = problems(*overrides)
    assert problem.startswith(f"training.{path}: ")
    assert reason in problem


def test_all_contradictions_are_reported():
    assert len(problems("accumulation=2", "mixup=1", "cutmix=1", "global_batch_size=1")) == 3


def test_a_soup_needs_at_least_two_checkpoints():
    with pytest.raises(ConfigError, match=r"training\.soup: found 1\. Allowed: 0 or .* at least 2"):
        problems("soup=1")


def test_given_settings_are_those_that_differ_from_the_defaults():
    assert TrainingConfig().given() == []
    assert TrainingConfig(seed=0, mixup=0.2, focal_gamma=2).given() == ["focal_gamma", "mixup"]


def test_settings_of_steps_are_listed_separately():
    given = TrainingConfig(mixup=0.2, focal_gamma=2, soup=2)
    assert given.given(of_steps=True) == ["mixup", "soup"]
    assert PhaseConfig(name="a", multipliers={"stem": 2}).given(of_steps=True) == ["multipliers"]
