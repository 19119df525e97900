"""Strategies -> the phases they stand for."""

import pytest

from kft.config import load_pipeline
from kft.errors import ConfigError
from kft.strategies import STRATEGIES, Phase, Setting, plan_phases
from kft.strategies.selection import resolve_blocks

BLOCKS = ("stem", "stage1", "stage2", "head")


def plan(*overrides: str, is_pretrained: bool = True, augmentation: str = "light"):
    return plan_phases(
        Setting(
            config=load_pipeline(None, [f"strategy.{o}" for o in overrides]).strategy,
            backbone="small_cnn",
            block_names=BLOCKS,
            augmentation=augmentation,
            is_pretrained=is_pretrained,
            num_examples=80,
            steps_per_epoch=10,
        )
    )


def explicit(*phases: str, **setting):
    return plan("name=phases", f"phases=[{', '.join(phases)}]", **setting)


def refusal(*phases: str) -> str:
    with pytest.raises(ConfigError) as caught:
        explicit(*phases)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"phases"}))
def test_every_preset_trains_the_head_and_at_least_one_step(name):
    phases = plan(f"name={name}")
    assert phases
    for phase in phases:
        assert "head" in phase.trainable
        assert phase.steps >= 1
        assert phase.steps_per_epoch == 10
        assert phase.learning_rate > 0


def test_a_linear_probe_is_the_head_on_pictures_that_do_not_change():
    (phase,) = plan("name=linear_probe", "probe_duration=3", "probe_learning_rate=0.5")
    assert phase == Phase("linear_probe", ("head",), 0.5, 30, 10)
    assert (phase.batch_norm, phase.augmentation) == ("frozen", "none")


def test_full_fine_tuning_trains_every_block_on_augmented_pictures():
    (phase,) = plan("name=full", "full_duration=25 steps", "full_learning_rate=0.5")
    assert phase == Phase("full", BLOCKS, 0.5, 25, 10, "frozen", augmentation="light")
    assert plan("name=full", augmentation="none")[0].augmentation == "none"


@pytest.mark.parametrize(
    ("batch_norm", "is_pretrained", "expected"),
    [
        ("auto", True, "frozen"),
        ("auto", False, "trainable"),
        ("frozen", False, "frozen"),
        ("trainable", True, "trainable"),
    ],
)
def test_batch_statistics_rest_where_they_are_worth_keeping(batch_norm, is_pretrained, expected):
    (phase,) = plan("name=full", f"batch_norm={batch_norm}", is_pretrained=is_pretrained)
    assert phase.batch_norm == expected


def test_lp_ft_is_the_probe_then_full():
    assert plan("name=lp_ft") == plan("name=linear_probe") + plan("name=full")


@pytest.mark.parametrize(
    ("override", "path"),
    [
        ("probe_duration=0", "strategy.probe_duration"),
        ("full_duration=x", "strategy.full_duration"),
    ],
)
def test_a_duration_that_is_refused_is_named(override, path):
    with pytest.raises(ConfigError, match=f"^{path}: "):
        plan(override)


def test_explicit_phases_are_taken_as_they_are_written():
    first, second = explicit(
        "{trainable: [head], duration: 2, learning_rate: 0.1, augmentation: none}",
        "{name: deep, trainable: [head, stage2], duration: 5 steps, batch_norm: trainable, "
        "multipliers: {stage2: 0.1}, weight_decay: 0}",
    )
    assert first == Phase("phase", ("head",), 0.1, 20, 10)
    assert second.name == "deep"
    assert second.trainable == ("stage2", "head")
    assert (second.steps, second.batch_norm) == (5, "trainable")
    assert second.multipliers == {"stage2": 0.1}
    assert second.weight_decay == 0.0
    assert second.augmentation == "light"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("[all]", BLOCKS),
        ("[backbone]", BLOCKS[:-1]),
        ("[backbone, head]", BLOCKS),
        ("[head, stem, head]", ("stem", "head")),
        ("[stage2, stage1]", ("stage1", "stage2")),
    ],
)
def test_blocks_are_spelt_out_shallow_to_deep_and_once(names, expected):
    (phase,) = explicit(f"{{trainable: {names}}}")
    assert phase.trainable == expected


def test_an_unknown_block_is_named_with_the_near_one_and_the_list():
    message = refusal("{}", "{trainable: [stage7]}")
    assert message.startswith(
        "strategy.phases[1].trainable: backbone 'small_cnn' has no block 'stage7'. Did you mean 's"
    )
    assert "Blocks: stem, stage1, stage2, head." in message
    assert "kft backbones small_cnn" in message


def test_a_multiplier_of_an_unknown_block_is_refused():
    message = refusal("{trainable: [all], multipliers: {stage9: 0.1}}")
    assert message.startswith("strategy.phases[0].multipliers: backbone 'small_cnn' has no block")


def test_a_multiplier_of_a_frozen_block_is_refused():
    message = refusal("{trainable: [head], multipliers: {stage1: 0.1}}")
    assert message == (
        "strategy.phases[0].multipliers: block 'stage1' has a multiplier but is frozen in this "
        "phase. Trainable: head."
    )


@pytest.mark.parametrize("group", ["all", "backbone"])
def test_a_multiplier_of_a_group_is_refused(group):
    message = refusal(f"{{trainable: [all], multipliers: {{{group}: 0.1}}}}")
    assert message == f"strategy.phases[0].multipliers: name single blocks, not {group!r}."


def test_no_names_are_no_blocks():
    assert resolve_blocks((), BLOCKS, where="here", backbone="x") == ()
