"""Contradictions between training settings and the targets or splits."""

import pytest

from kft.config import load_pipeline
from kft.errors import ConfigError
from kft.strategies.targets import check_targets, may_mix
from kft.tasks import find_task

NAMES = ("cat", "dog")


def training(*overrides):
    return load_pipeline(None, [f"training.{override}" for override in overrides]).training


def refusal(*overrides, kind="class", names=NAMES, num_validation=20):
    with pytest.raises(ConfigError) as caught:
        check_targets(training(*overrides), find_task(kind), names, num_validation=num_validation)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["class", "labels", "number"])
def test_defaults_are_valid_for_all_targets(kind):
    check_targets(training(), find_task(kind), NAMES, num_validation=0)


@pytest.mark.parametrize(
    ("setting", "kinds"),
    [
        ("label_smoothing=0.1", ("class", "labels")),
        ("focal_gamma=2", ("class", "labels")),
        ("class_weights=balanced", ("class", "labels")),
        ("sampling=balanced", ("class",)),
        ("logit_adjustment=1", ("class",)),
        ("mixup=0.2", ("class", "labels")),
        ("cutmix=1", ("class", "labels")),
    ],
)
@pytest.mark.parametrize("kind", ["class", "labels", "number"])
def test_a_setting_passes_only_with_targets_that_it_is_for(setting, kinds, kind):
    if kind in kinds:
        check_targets(training(setting), find_task(kind), NAMES, num_validation=0)
    else:
        message = refusal(setting, kind=kind)
        assert message.startswith(f"training.{setting.partition('=')[0]}: is for classes")
        assert f"but the targets are {kind.removesuffix('s')}s." in message


@pytest.mark.parametrize("setting", ["mixup=0.2", "cutmix=1"])
def test_one_class_cannot_be_mixed(setting):
    message = refusal(setting, names=("cat",))
    assert "there is one class, 'cat'." in message
    check_targets(training(setting), find_task("labels"), ("cat",), num_validation=0)


def test_weights_of_unknown_classes_are_refused_with_a_suggestion():
    message = refusal("class_weights={cat: 1, dogs: 2}")
    assert message == "training.class_weights: no class 'dogs'. Did you mean 'dog'?"
    check_targets(training("class_weights={cat: 1}"), find_task("class"), NAMES, num_validation=0)


def test_some_but_not_all_classes_may_have_weight_zero():
    check_targets(training("class_weights={cat: 0}"), find_task("class"), NAMES, num_validation=0)
    message = refusal("class_weights={cat: 0, dog: 0}")
    assert message == "training.class_weights: no weight is above 0, so nothing would be learned."


@pytest.mark.parametrize(
    "setting", ["early_stopping=3", "soup=3", "wise_ft=true", "schedule=plateau"]
)
def test_settings_that_use_validation_need_validation_examples(setting):
    check_targets(training(setting), find_task("class"), NAMES, num_validation=1)
    message = refusal(setting, num_validation=0)
    assert message.startswith(f"training.{setting.partition('=')[0]}: ")
    assert "data.validation" in message


def test_all_contradictions_are_reported_at_once():
    message = refusal(
        "mixup=0.2", "soup=2", "class_weights={x: 1}", kind="number", num_validation=0
    )
    assert message.startswith("training: 3 problems\n")


def test_a_strategy_mixes_only_if_targets_allow_it_and_no_setting_mixes():
    assert may_mix(training(), find_task("class"), NAMES)
    assert may_mix(training(), find_task("labels"), NAMES)
    assert not may_mix(training(), find_task("number"), NAMES)
    assert not may_mix(training(), find_task("class"), ("cat",))
    assert not may_mix(training("mixup=0.1"), find_task("class"), NAMES)
    assert not may_mix(training("cutmix=0.1"), find_task("class"), NAMES)
