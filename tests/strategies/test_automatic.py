"""Default strategy `auto`."""

import re
from dataclasses import replace

import pytest

from kft.config import AUTO_LEARNING_RATES, LEARNING_RATES, load_pipeline
from kft.errors import ConfigError
from kft.strategies import plan_phases
from kft.strategies.automatic import (
    AUTO_LAYER_DECAY,
    SOLVED_HEAD_RATE,
    find_obstacle,
    refits,
)
from kft.strategies.phases import Choice, Scope
from kft.strategies.traits import BlockTraits

BLOCKS = ("stem", "stage1", "stage2", "head")


def test_all_blocks_train_from_a_solved_probe_if_folds_decide_for_it(plan):
    probe, phase = plan("name=auto")
    assert (probe.name, probe.method) == ("linear_probe", "solve")
    assert (phase.name, phase.scope) == ("fine_tune", Scope(BLOCKS))
    decayed = {"stem": AUTO_LAYER_DECAY**2, "stage1": AUTO_LAYER_DECAY}
    assert phase.fit.multipliers == {**decayed, "head": SOLVED_HEAD_RATE}
    assert (phase.fit.steps, phase.recipe.augmentation, phase.fit.mixup) == (120, "light", None)
    assert phase.folds.rates == AUTO_LEARNING_RATES
    assert phase.fit.learning_rate == AUTO_LEARNING_RATES[0]
    assert not phase.decides_on_validation


def test_a_short_run_takes_a_quarter_of_the_steps(plan):
    folds = plan("name=auto")[-1].folds
    assert 2 <= folds.count <= 5
    assert (folds.steps, folds.judged_after) == (30, 90)
    short = plan("duration=3 steps")[-1].folds
    assert (short.steps, short.judged_after) == (1, 2)


def test_a_budget_is_given_in_seconds(plan):
    assert plan("name=auto")[-1].folds.budget_seconds is None
    assert plan("budget=10 minutes")[-1].folds.budget_seconds == 600
    for wrong in ("10", "10 epochs", "-1 minutes", "ten minutes"):
        with pytest.raises(ConfigError, match="budget"):
            plan(f"budget={wrong}")


def test_a_given_rate_is_not_searched_for(plan):
    phase = plan("name=auto", "learning_rate=0.25")[-1]
    assert (phase.fit.learning_rate, phase.folds.rates) == (0.25, (0.25,))


def test_folds_decide_without_validation_too(plan):
    assert plan("name=auto", num_validation=0) == plan("name=auto")


# A probe that is trained


def test_beside_a_trained_probe_validation_decides(plan):
    phase = plan("name=auto", "probe=trained")[-1]
    assert phase.folds is None
    assert phase.choice.blends
    assert phase.choice.is_sequential
    assert phase.choice.pilot_steps == 30
    assert tuple(c.fit.learning_rate for c in phase.choice.candidates) == AUTO_LEARNING_RATES
    for candidate in phase.choice.candidates:
        assert candidate.at_rate(phase.fit.learning_rate) == replace(phase, choice=Choice())
    given = plan("name=auto", "probe=trained", "learning_rate=0.25")[-1]
    assert (given.fit.learning_rate, given.choice) == (0.25, Choice(blends=True))


def test_beside_a_trained_probe_nothing_is_chosen_without_validation(plan):
    phase = plan("name=auto", "probe=trained", num_validation=0)[-1]
    assert (phase.fit.learning_rate, phase.choice) == (LEARNING_RATES["lp_ft"], Choice())
    assert phase.folds is None


def test_random_weights_are_trained_in_full_without_a_probe(plan):
    phases = plan("name=auto", is_pretrained=False)
    assert phases == plan("name=full", is_pretrained=False)
    assert phases[0].scope.batch_norm == "trainable"


def test_only_large_data_sets_are_mixed_and_only_if_mixing_is_allowed(plan):
    assert plan("name=auto", num_examples=19_999)[-1].fit.mixup is None
    large = plan("name=auto", num_examples=20_000)[-1]
    assert large.fit.mixup == 0.2
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
    assert "stage2" not in phase.fit.multipliers, "the deepest block keeps the whole rate"


def test_the_frozen_blocks_can_be_set(plan):
    fine = traits_of(2, 4, 32)
    assert plan("freeze=[]", traits=fine)[-1].scope.trainable == BLOCKS
    assert plan("freeze=[stem]", traits=fine)[-1].scope.trainable == ("stage1", "stage2", "head")
    one = plan("freeze=[stage1]")[-1].fit.multipliers
    assert one == {"stem": AUTO_LAYER_DECAY, "head": SOLVED_HEAD_RATE}
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
    assert set(plan("name=auto", "layer_decay=1")[-1].fit.multipliers) == {"head"}


def test_a_head_keeps_its_rate_unless_it_was_solved(plan):
    assert "head" not in plan("name=auto", "probe=trained")[-1].fit.multipliers


def test_both_phases_learn_from_validation_if_nothing_else_needs_it(make_setting):
    setting = make_setting("name=auto", learns_from=("train", "validation"))
    assert {phase.learns_from for phase in plan_phases(setting)} == {("train", "validation")}


ENOUGH = {"num_validation": 20, "num_holdout": 20, "is_fold": False, "is_pretrained": True}
ENOUGH |= {"has_solved_probe": True}


@pytest.mark.parametrize(
    ("overrides", "changes", "reason"),
    [
        ((), {}, None),
        ((), {"num_holdout": 0}, "without a holdout"),
        ((), {"is_fold": True}, "the fold that judges the run"),
        ((), {"num_validation": 0}, "no validation examples"),
        ((), {"is_pretrained": False}, "random weights"),
        ((), {"has_solved_probe": False}, "the probe is trained by steps"),
        (("training.early_stopping=2",), {}, "`training.early_stopping`"),
        (("training.soup=2",), {}, "`training.soup`"),
        (("training.wise_ft=true",), {}, "`training.wise_ft`"),
        (("training.schedule=plateau",), {}, "`training.schedule=plateau`"),
    ],
)
def test_the_phases_learn_from_validation_unless_something_else_needs_it(
    overrides, changes, reason
):
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


def test_targets_of_many_rows_are_decided_on_validation_and_take_no_budget(plan):
    phase = plan("name=auto", may_fold=False)[-1]
    assert (phase.folds, phase.choice.blends) == (None, True)
    with pytest.raises(ConfigError, match=r"strategy\.budget: .* is not one row of the probe"):
        plan("name=auto", "budget=10 minutes", may_fold=False)
