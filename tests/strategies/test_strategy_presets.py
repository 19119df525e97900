"""Phases planned by the named strategies."""

from dataclasses import replace

import pytest
from phases import phase_of

from kft.config import LEARNING_RATES, LoraConfig
from kft.errors import ConfigError
from kft.strategies import STRATEGIES, Phase
from kft.strategies.phases import Choice, Scope, Solve

BLOCKS = ("stem", "stage1", "stage2", "head")
SOLVED = Phase("linear_probe", Scope(("head",)), Solve())


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"phases"}))
def test_every_preset_trains_the_head_and_at_least_one_step(name, plan):
    phases = plan(f"name={name}")
    assert phases
    for phase in phases:
        assert "head" in phase.scope.trainable
        if phase.method == "fit":
            assert phase.fit.steps >= 1
            assert phase.fit.steps_per_epoch == 10
            assert phase.fit.learning_rate > 0


@pytest.mark.parametrize("name", sorted(set(STRATEGIES) - {"phases", "full", "linear_probe"}))
def test_every_preset_that_fine_tunes_from_a_probe_solves_it_first(name, plan):
    first, *others = plan(f"name={name}")
    assert first == SOLVED
    assert others
    assert sum(phase.fit.steps for phase in others) == 120


def test_a_trained_probe_trains_the_head_without_augmentation(plan):
    wanted = ("probe=trained", "probe_duration=3", "probe_learning_rate=0.5")
    (phase,) = plan("name=linear_probe", *wanted)
    assert phase == phase_of("linear_probe", ("head",), 0.5, 30, 10)
    assert (phase.scope.batch_norm, phase.recipe.augmentation) == ("frozen", "none")


def test_a_head_of_several_layers_is_trained_and_never_solved(plan):
    (phase,) = plan("name=linear_probe", has_linear_head=False)
    assert (phase.method, phase.fit.steps) == ("fit", 600)
    with pytest.raises(ConfigError, match=r"^strategy\.probe: 'solved' needs a head of a single"):
        plan("name=linear_probe", "probe=solved", has_linear_head=False)


def test_full_fine_tuning_trains_every_block_with_augmentation(plan):
    (phase,) = plan("name=full", "duration=25 steps", "learning_rate=0.5")
    assert phase == phase_of("full", BLOCKS, 0.5, 25, 10, augmentation="light")
    assert plan("name=full", augmentation="none")[0].recipe.augmentation == "none"


@pytest.mark.parametrize(
    ("batch_norm", "is_pretrained", "expected"),
    [
        ("auto", True, "frozen"),
        ("auto", False, "trainable"),
        ("frozen", False, "frozen"),
        ("trainable", True, "trainable"),
    ],
)
def test_batch_statistics_of_pretrained_weights_are_frozen_by_default(
    batch_norm, is_pretrained, expected, plan
):
    (phase,) = plan("name=full", f"batch_norm={batch_norm}", is_pretrained=is_pretrained)
    assert phase.scope.batch_norm == expected


def test_lp_ft_is_the_probe_then_full(plan):
    assert plan("name=lp_ft") == plan("name=linear_probe") + plan("name=full")


@pytest.mark.parametrize("name", sorted(LEARNING_RATES))
def test_a_strategy_has_its_own_default_rate(name, plan):
    assert plan(f"name={name}")[-1].fit.learning_rate == LEARNING_RATES[name]
    assert plan(f"name={name}", "learning_rate=0.25")[-1].fit.learning_rate == 0.25


@pytest.mark.parametrize(
    ("num_examples", "batch_size", "steps"),
    [
        (80, 8, 120),
        (1_600, 32, 500),
        (1_600, 8, 2_000),
        (10_000, 32, 5 * 313),
        (19_999, 32, 5 * 625),
        (20_000, 32, 12 * 625),
        (32_000, 32, 10_000),
        (32_000, 512, 10 * 63),
        (499_999, 32, 5 * 15_625),
        (2_000_000, 32, 5 * 62_500),
    ],
)
def test_the_budget_is_bits_number_of_steps_of_32_examples_within_five_to_twelve_epochs(
    num_examples, batch_size, steps, plan
):
    sizes = {"num_examples": num_examples, "steps_per_epoch": -(-num_examples // batch_size)}
    assert plan("name=full", **sizes)[0].fit.steps == steps
    assert plan("name=full", "duration=7 steps", **sizes)[0].fit.steps == 7


def test_decay_slows_blocks_toward_the_input_and_not_the_head(plan):
    (phase,) = plan("name=full", "layer_decay=0.5")
    assert phase.fit.multipliers == {"stem": 0.25, "stage1": 0.5}


def test_top_k_trains_the_deepest_blocks(plan):
    assert plan("name=top_k")[-1].scope.trainable == ("stage2", "head")
    two = plan("name=top_k", "top_blocks=2", "layer_decay=0.5")[-1]
    assert (two.scope.trainable, two.fit.multipliers) == (
        ("stage1", "stage2", "head"),
        {"stage1": 0.5},
    )


def test_more_top_blocks_than_the_backbone_has_are_refused(plan):
    assert plan("name=top_k", "top_blocks=3")[-1].scope.trainable == BLOCKS
    with pytest.raises(ConfigError, match=r"^strategy\.top_blocks: found 4, but .* has 3 blocks"):
        plan("name=top_k", "top_blocks=4")


def test_gradual_unfreezing_starts_at_the_deepest_block_and_divides_the_duration(plan):
    _, *phases = plan("name=gradual", "duration=62 steps", "layer_decay=0.5")
    assert [phase.name for phase in phases] == ["from_stage2", "from_stage1", "from_stem"]
    assert [phase.scope.trainable for phase in phases] == [BLOCKS[2:], BLOCKS[1:], BLOCKS]
    assert [phase.fit.steps for phase in phases] == [20, 21, 21]
    assert [dict(phase.fit.multipliers) for phase in phases] == [
        {},
        {"stage1": 0.5},
        {"stem": 0.25, "stage1": 0.5},
    ]


def test_gradual_unfreezing_groups_blocks_if_phases_would_be_shorter_than_tracing(plan):
    _, *phases = plan("name=gradual", "duration=59 steps")
    assert [phase.scope.trainable for phase in phases] == [BLOCKS[1:], BLOCKS]
    assert [phase.fit.steps for phase in phases] == [29, 30]


def test_gradual_unfreezing_needs_several_blocks_and_a_step_for_each_phase(plan):
    with pytest.raises(ConfigError, match=r"'small_cnn' is one block, 'stem'.*name=lp_ft"):
        plan("name=gradual", block_names=("stem", "head"))
    with pytest.raises(ConfigError, match=r"^strategy\.duration: 1 steps are fewer than the 2"):
        plan("name=gradual", "duration=1 steps")


def test_surgical_trains_the_named_block_and_the_head(plan):
    phase = plan("name=surgical", "block=stage1")[-1]
    assert (phase.name, phase.scope.trainable) == ("surgical", ("stage1", "head"))
    assert phase.choice.candidates == ()


@pytest.mark.parametrize("block", ["stage9", "head", "all"])
def test_surgical_refuses_names_that_are_not_backbone_blocks(block, plan):
    with pytest.raises(ConfigError, match=rf"^strategy\.block: .* has no block '{block}' to train"):
        plan("name=surgical", f"block={block}")


def test_the_best_block_is_the_best_of_all_on_validation(plan):
    phase = plan("name=surgical")[-1]
    assert [c.scope.trainable[0] for c in phase.choice.candidates] == ["stage2", "stage1", "stem"]
    assert all(c.scope.trainable[1:] == ("head",) for c in phase.choice.candidates)
    assert phase.name == "surgical"
    assert phase.choice == Choice(phase.choice.candidates, pilot_steps=15)
    assert replace(phase, name="stage2", choice=Choice()) == phase.choice.candidates[0]
    with pytest.raises(ConfigError, match=r"^strategy\.block: .* no validation examples"):
        plan("name=surgical", num_validation=0)


def test_lora_adapts_the_blocks_whose_layers_allow_it(plan):
    phase = plan("name=lora", "lora.rank=2")[-1]
    assert phase.scope == Scope(("stage1", "stage2", "head"), lora=LoraConfig(rank=2))
    assert plan("name=lora", "lora.layers=project")[-1].scope.trainable == ("stage1", "head")


def test_bitfit_trains_the_blocks_that_have_biases_or_normalisation(plan):
    phase = plan("name=bitfit")[-1]
    assert (phase.scope.trainable, phase.scope.part) == (("stem", "stage1", "head"), "bias_norm")
    assert phase.scope.lora is None


@pytest.mark.parametrize(
    ("overrides", "path"),
    [
        (("name=linear_probe", "probe=trained", "probe_duration=0"), "strategy.probe_duration"),
        (("name=full", "duration=x"), "strategy.duration"),
        (("name=lp_ft", "duration=50 percent"), "strategy.duration"),
    ],
)
def test_a_refused_duration_is_named_by_its_setting(overrides, path, plan):
    with pytest.raises(ConfigError, match=f"^{path}: "):
        plan(*overrides)
