"""Explicit phases, listed by the pipeline."""

import pytest
from phases import phase_of

from kft.config import LoraConfig
from kft.errors import ConfigError
from kft.strategies.phases import Scope
from kft.strategies.selection import resolve_blocks

BLOCKS = ("stem", "stage1", "stage2", "head")


@pytest.fixture
def explicit(plan):
    def make(*phases, **setting):
        return plan("name=phases", f"phases=[{', '.join(phases)}]", **setting)

    return make


@pytest.fixture
def refusal(explicit):
    def make(*phases, **setting):
        with pytest.raises(ConfigError) as caught:
            explicit(*phases, **setting)
        return str(caught.value)

    return make


def test_explicit_phases_are_planned_as_written(explicit):
    first, second = explicit(
        "{trainable: [head], duration: 2, learning_rate: 0.1, augmentation: none}",
        "{name: deep, trainable: [head, stage2], duration: 5 steps, batch_norm: trainable, "
        "multipliers: {stage2: 0.1}, weight_decay: 0}",
    )
    assert first == phase_of("phase", ("head",), 0.1, 20, 10)
    assert (second.name, second.fit.steps) == ("deep", 5)
    assert second.scope == Scope(("stage2", "head"), batch_norm="trainable")
    assert second.fit.multipliers == {"stage2": 0.1}
    assert (second.fit.weight_decay, second.fit.augmentation) == (0.0, "light")


def test_percent_refer_to_the_duration_of_the_strategy(plan):
    phases = "phases=[{duration: 25 percent}, {duration: 75%}]"
    assert [p.fit.steps for p in plan("name=phases", phases, "duration=40 steps")] == [10, 30]
    assert [p.fit.steps for p in plan("name=phases", phases)] == [30, 90]


def test_a_solved_phase_has_no_steps_and_no_augmentation(explicit):
    (phase,) = explicit("{method: solve}")
    assert (phase.method, phase.recipe.augmentation) == ("solve", "none")


def test_multipliers_are_multiplied_by_the_decay(explicit):
    (phase,) = explicit("{trainable: [all], layer_decay: 0.5, multipliers: {stem: 0.2, head: 3}}")
    assert phase.fit.multipliers == pytest.approx({"stem": 0.05, "stage1": 0.5, "head": 3.0})


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
def test_block_groups_are_expanded_shallow_to_deep_without_duplicates(names, expected, explicit):
    _, phase = explicit("{method: solve}", f"{{trainable: {names}}}")
    assert phase.scope.trainable == expected


def test_an_unknown_block_is_refused_with_a_suggestion_and_the_list(refusal):
    message = refusal("{}", "{trainable: [stage7]}")
    assert message.startswith(
        "strategy.phases[1].trainable: backbone 'small_cnn' has no block 'stage7'. Did you mean 's"
    )
    assert "Blocks: stem, stage1, stage2, head." in message
    assert "kft backbones small_cnn" in message


def test_a_multiplier_of_an_unknown_block_is_refused(refusal):
    message = refusal("{trainable: [all], multipliers: {stage9: 0.1}}")
    assert message.startswith("strategy.phases[0].multipliers: backbone 'small_cnn' has no block")


def test_a_multiplier_of_a_frozen_block_is_refused(refusal):
    message = refusal("{trainable: [head], multipliers: {stage1: 0.1}}")
    assert message == (
        "strategy.phases[0].multipliers: block 'stage1' has a multiplier but is frozen in this "
        "phase. Trainable: head."
    )


@pytest.mark.parametrize("group", ["all", "backbone"])
def test_a_multiplier_of_a_group_is_refused(group, refusal):
    message = refusal(f"{{trainable: [all], multipliers: {{{group}: 0.1}}}}")
    assert message == f"strategy.phases[0].multipliers: name single blocks, not {group!r}."


@pytest.mark.parametrize(
    ("trainable", "reason"),
    [
        ("[head]", "only the head trains in this phase"),
        ("[stage1, head]", "only backbone block 'stage1' trains in this phase"),
    ],
)
def test_decay_without_a_second_block_is_refused(trainable, reason, refusal):
    message = refusal(f"{{trainable: {trainable}, layer_decay: 0.5}}")
    assert message.startswith(f"strategy.phases[0].layer_decay: found 0.5, but {reason}")


def test_statistics_of_frozen_blocks_cannot_train(refusal):
    message = refusal("{trainable: [head], batch_norm: trainable}")
    assert message.startswith("strategy.phases[0].batch_norm: 'trainable' updates the statistics")
    message = refusal("{method: solve, batch_norm: trainable}")
    assert message.startswith("strategy.phases[0].batch_norm: has no effect under `method: solve`")


@pytest.mark.parametrize("earlier", ["{method: solve}", "{}", "{trainable: [all], duration: 1}"])
def test_a_backbone_may_train_behind_a_head_that_was_trained_before(earlier, explicit):
    assert explicit(earlier, "{trainable: [stem, stage1]}")[1].scope.trainable == ("stem", "stage1")


@pytest.mark.parametrize("phases", [("{}",), ("{trainable: [stage1]}", "{}")])
def test_a_backbone_behind_an_untrained_head_is_refused(phases, refusal):
    """The gradient would be exactly zero."""
    message = refusal("{trainable: [backbone]}", *phases)
    assert "strategy.phases[0].trainable: no gradient would reach stem, stage1, stage2" in message
    assert ("strategy.phases[1].trainable: no gradient would reach stage1" in message) == (
        len(phases) > 1
    )


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        ("{method: solve, trainable: [stage2, head]}", "stage2 cannot be solved"),
        ("{method: solve, augmentation: light}", "a solution has no epochs"),
    ],
)
def test_only_a_head_is_solved_and_only_without_augmentation(phase, reason, refusal):
    assert reason in refusal(phase)


def test_a_head_without_a_solution_is_refused_as_soon_as_that_is_known(refusal):
    """For example, weights of labels are known to have none only once the data is read."""
    message = refusal("{method: solve}", has_linear_head=False)
    assert message.startswith("strategy.phases[0].method: 'solve' needs a head of a single layer")
    assert "`training.class_weights` of labels" in message


def test_a_group_trains_only_the_blocks_that_lora_or_part_apply_to(explicit):
    (lora,) = explicit("{trainable: [all], lora: {rank: 2}}")
    assert (lora.scope.trainable, lora.scope.lora) == (
        ("stage1", "stage2", "head"),
        LoraConfig(rank=2),
    )
    (bitfit,) = explicit("{trainable: [all], part: bias_norm}")
    assert (bitfit.scope.trainable, bitfit.scope.part) == (("stem", "stage1", "head"), "bias_norm")


@pytest.mark.parametrize(
    ("phase", "path", "reason"),
    [
        ("{trainable: [stem, stage1], lora: {}}", "trainable", "nothing in block 'stem' would"),
        ("{trainable: [all, stage2], part: bias_norm}", "trainable", "nothing in block 'stage2'"),
        ("{trainable: [stem], lora: {}}", "lora", "stem_depthwise (DepthwiseConv2D)"),
        ("{trainable: [stage2], part: bias_norm}", "part", "blocks stage2 have none"),
        ("{trainable: [head], lora: {}}", "lora", "only the head trains in this phase"),
        ("{trainable: [head], part: bias_norm}", "part", "only the head trains in this phase"),
        ("{trainable: [all], part: bias_norm, lora: {}}", "lora", "Choose one of the two"),
        ("{trainable: [all], lora: {layers: '('}}", "lora.layers", "is not a regular expression"),
        ("{duration: 101 percent}", "duration", "at most 100 percent"),
    ],
)
def test_a_phase_that_contradicts_itself_or_the_backbone_is_refused(phase, path, reason, refusal):
    message = refusal(phase)
    assert message.startswith(f"strategy.phases[0].{path}: ")
    assert reason in message


def test_all_problems_of_explicit_phases_are_reported_at_once(refusal):
    message = refusal(
        "{trainable: [stage7], duration: 0}", "{}", "{multipliers: {stem: 2, stage1: 2}}"
    )
    assert message.startswith("strategy: 4 problems\n")
    for path in ("[0].trainable", "[0].duration", "[2].multipliers: block 'stem'", "'stage1'"):
        assert path in message


def test_an_empty_list_of_names_resolves_to_no_blocks():
    assert resolve_blocks((), BLOCKS, where="here", backbone="x") == ()
