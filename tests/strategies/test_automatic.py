"""Default strategy `auto`."""

import re
from dataclasses import replace

import pytest

from kft.config import AUTO_LEARNING_RATES, LEARNING_RATES, load_pipeline
from kft.errors import ConfigError
from kft.strategies import plan_phases
from kft.strategies.automatic import AUTO_LAYER_DECAY, REFIT, find_obstacle, refits
from kft.strategies.phases import Choice, Scope
from kft.strategies.traits import BlockTraits

BLOCKS = ("stem", "stage1", "stage2", "head")


def test_all_blocks_train_from_a_solved_probe_and_are_blended_with_it(plan):
    probe, phase = plan("name=auto")
    assert (probe.name, probe.method) == ("linear_probe", "solve")
    assert (phase.name, phase.scope) == ("fine_tune", Scope(BLOCKS))
    assert phase.fit.multipliers == {"stem": AUTO_LAYER_DECAY**2, "stage1": AUTO_LAYER_DECAY}
    assert (phase.fit.steps, phase.recipe.augmentation, phase.fit.mixup) == (120, "light", None)
    assert phase.choice.blends


def test_the_rates_are_tried_in_turn_and_differ_in_nothing_else(plan):
    phase = plan("name=auto")[-1]
    assert phase.choice.is_sequential
    assert tuple(c.fit.learning_rate for c in phase.choice.candidates) == AUTO_LEARNING_RATES
    assert phase.fit.learning_rate == AUTO_LEARNING_RATES[0]
    for candidate in phase.choice.candidates:
        assert candidate.at_rate(phase.fit.learning_rate) == replace(phase, choice=Choice())


@pytest.mark.parametrize(("steps", "pilot"), [(120, 30), (30, 7), (3, 1)])
def test_a_trial_is_a_quarter_of_the_phase(steps, pilot, plan):
    *_, phase = plan(f"duration={steps} steps")
    assert phase.choice.pilot_steps == pilot


def test_a_given_rate_is_not_searched_for(plan):
    phase = plan("name=auto", "learning_rate=0.25")[-1]
    assert phase.fit.learning_rate == 0.25
    assert phase.choice == Choice(blends=True)


def test_without_validation_nothing_is_chosen(plan):
    phase = plan("name=auto", num_validation=0)[-1]
    assert (phase.fit.learning_rate, phase.choice) == (LEARNING_RATES["lp_ft"], Choice())


def test_random_weights_are_trained_in_full_without_a_probe(plan):
    phases = plan("name=auto", is_pretrained=False)
    assert phases == plan("name=full", is_pretrained=False)
    assert phases[0].scope.batch_norm == "trainable"


def test_only_large_data_sets_are_mixed_and_only_if_mixing_is_allowed(plan):
    assert plan("name=auto", num_examples=19_999)[-1].fit.mixup is None
    large = plan("name=auto", num_examples=20_000)[-1]
    assert large.fit.mixup == 0.2
    assert {c.fit.mixup for c in large.choice.candidates} == {0.2}
    assert plan("name=auto", num_examples=20_000, may_mix=False)[-1].fit.mixup is None


def traits_of(*strides):
    names = BLOCKS[:-1]
    return tuple(BlockTraits(n, stride=stride) for n, stride in zip(names, strides, strict=True))


@pytest.mark.parametrize(
    ("strides", "trainable"),
    [
        ((2, 4, 32), ("stage2", "head")),
        ((2, 8, 32), ("stage1", "stage2", "head")),
        ((1, 2, 4), BLOCKS),
        ((4, 8, 16), BLOCKS),
        ((None, 4, 32), ("stage2", "head")),
        ((16, None, None), BLOCKS),
        ((None, None, None), BLOCKS),
    ],
)
def test_blocks_with_maps_eight_times_finer_than_the_last_are_frozen(strides, trainable, plan):
    phase = plan("name=auto", traits=traits_of(*strides))[-1]
    assert phase.scope.trainable == trainable
    assert {candidate.scope.trainable for candidate in phase.choice.candidates} == {trainable}
    assert "stage2" not in phase.fit.multipliers, "the deepest block keeps the whole rate"


def test_the_frozen_blocks_can_be_set(plan):
    fine = traits_of(2, 4, 32)
    assert plan("freeze=[]", traits=fine)[-1].scope.trainable == BLOCKS
    assert plan("freeze=[stem]", traits=fine)[-1].scope.trainable == ("stage1", "stage2", "head")
    assert plan("freeze=[stage1]")[-1].fit.multipliers == {"stem": AUTO_LAYER_DECAY}
    assert plan("freeze=[]", is_pretrained=False) == plan("name=full", is_pretrained=False)


@pytest.mark.parametrize(
    ("given", "is_pretrained", "reason"),
    [
        ("[stem1]", True, "has no block 'stem1'. Did you mean"),
        ("[head]", True, "the head must train"),
        ("[backbone]", True, "names all blocks of backbone 'small_cnn'"),
        ("[stem]", False, "are random, and frozen blocks would stay random"),
    ],
)
def test_blocks_that_cannot_be_frozen_are_refused(given, is_pretrained, reason, plan):
    with pytest.raises(ConfigError, match=f"^strategy.freeze: .*{re.escape(reason)}"):
        plan(f"freeze={given}", is_pretrained=is_pretrained)


def test_decay_can_be_set(plan):
    assert plan("name=auto", "layer_decay=1")[-1].fit.multipliers == {}


@pytest.fixture
def refitting(make_setting):
    """Plans for 80 training examples, or 100 with those of validation."""
    both = {"num_examples": 100, "steps_per_epoch": 13, "num_validation": 0}

    def plan_it(*overrides: str):
        setting = make_setting("name=auto", *overrides)
        return plan_phases(replace(setting, refit=replace(setting, **both)))

    return plan_it


def test_the_refit_trains_the_winner_on_all_examples_for_the_same_epochs(refitting):
    probe, phase, refit = refitting()
    assert (phase.fit.steps, phase.choice.pilot_steps, phase.learns_from) == (120, 30, ("train",))
    assert {candidate.fit.steps for candidate in phase.choice.candidates} == {120}
    assert (refit.name, refit.learns_from) == (REFIT, ("train", "validation"))
    assert (refit.fit.steps, refit.fit.steps_per_epoch) == (156, 13)
    assert (refit.scope, refit.fit.multipliers) == (phase.scope, phase.fit.multipliers)
    assert phase.choice.only_compares
    assert refit.choice == Choice()
    assert refit.fallback == replace(probe, name=REFIT, learns_from=refit.learns_from)


@pytest.mark.parametrize("num_examples", [18_000, 15_500, 450_000])
def test_the_refit_keeps_the_tried_recipe_even_if_its_size_would_imply_another(
    num_examples, make_setting
):
    steps_per_epoch, more = num_examples // 32, 5 * num_examples // 4
    setting = make_setting("name=auto", num_examples=num_examples, steps_per_epoch=steps_per_epoch)
    sizes = {"num_examples": more, "steps_per_epoch": more // 32, "num_validation": 0}
    _, phase, refit = plan_phases(replace(setting, refit=replace(setting, **sizes)))
    assert refit.fit.mixup == phase.fit.mixup
    epochs = phase.fit.steps / phase.fit.steps_per_epoch
    assert refit.fit.steps / refit.fit.steps_per_epoch == pytest.approx(epochs, abs=0.01)


def test_a_duration_in_steps_is_kept_by_the_refit(refitting):
    assert [phase.fit.steps for phase in refitting("duration=7 steps")[1:]] == [7, 7]


def test_a_given_rate_is_the_only_candidate_and_is_used_by_the_refit(refitting):
    _, phase, refit = refitting("learning_rate=0.25")
    assert [candidate.fit.learning_rate for candidate in phase.choice.candidates] == [0.25]
    assert refit.fit.learning_rate == 0.25


ENOUGH = {"num_validation": 20, "num_holdout": 20, "is_fold": False, "is_pretrained": True}


@pytest.mark.parametrize(
    ("overrides", "changes", "reason"),
    [
        ((), {}, None),
        ((), {"num_holdout": 0}, "without a holdout"),
        ((), {"is_fold": True}, "the fold that judges the run"),
        ((), {"num_validation": 0}, "no validation examples"),
        ((), {"is_pretrained": False}, "random weights"),
        (("training.early_stopping=2",), {}, "`training.early_stopping`"),
        (("training.soup=2",), {}, "`training.soup`"),
        (("training.wise_ft=true",), {}, "`training.wise_ft`"),
        (("training.schedule=plateau",), {}, "`training.schedule=plateau`"),
    ],
)
def test_the_refit_uses_validation_unless_something_else_needs_it(overrides, changes, reason):
    pipeline = load_pipeline(None, overrides)
    found = find_obstacle(pipeline.training, **ENOUGH | changes)
    assert reason in found if reason else found is None
    assert refits(pipeline.strategy, pipeline.training, **ENOUGH | changes) == (reason is None)
    requested = load_pipeline(None, [*overrides, "strategy.refit=true"])
    if reason is None:
        assert refits(requested.strategy, requested.training, **ENOUGH)
    else:
        with pytest.raises(ConfigError, match=re.escape(f"strategy.refit: {found} Remove it, or")):
            refits(requested.strategy, requested.training, **ENOUGH | changes)


@pytest.mark.parametrize("override", ["strategy.refit=false", "strategy.name=lp_ft"])
def test_there_is_no_refit_unless_the_strategy_has_one(override):
    pipeline = load_pipeline(None, [override])
    assert not refits(pipeline.strategy, pipeline.training, **ENOUGH)
