"""The default strategy."""

from dataclasses import replace

import pytest

from kft.config import AUTO_LEARNING_RATES, LEARNING_RATES
from kft.strategies.automatic import AUTO_LAYER_DECAY

BLOCKS = ("stem", "stage1", "stage2", "head")


def test_all_blocks_train_from_a_solved_probe_that_they_must_beat(plan):
    probe, phase = plan("name=auto")
    assert (probe.name, probe.method) == ("linear_probe", "solve")
    assert (phase.name, phase.trainable, phase.batch_norm) == ("fine_tune", BLOCKS, "frozen")
    assert phase.multipliers == {"stem": AUTO_LAYER_DECAY**2, "stage1": AUTO_LAYER_DECAY}
    assert (phase.steps, phase.augmentation, phase.mixup) == (120, "light", None)
    assert phase.must_beat_start


def test_the_rates_are_tried_in_turn_and_differ_in_nothing_else(plan):
    phase = plan("name=auto")[-1]
    assert phase.is_sequential
    assert tuple(c.learning_rate for c in phase.candidates) == AUTO_LEARNING_RATES
    assert phase.learning_rate == AUTO_LEARNING_RATES[0]
    assert len({replace(c, learning_rate=1.0).steps for c in phase.candidates}) == 1
    for candidate in phase.candidates:
        assert (candidate.candidates, candidate.pilot_steps) == ((), 0)
        assert candidate.multipliers == phase.multipliers


@pytest.mark.parametrize(("steps", "pilot"), [(120, 30), (30, 7), (3, 1)])
def test_a_trial_is_a_quarter_of_the_phase(steps, pilot, plan):
    *_, phase = plan(f"duration={steps} steps")
    assert phase.pilot_steps == pilot


def test_a_rate_that_is_given_is_not_searched_for(plan):
    phase = plan("name=auto", "learning_rate=0.25")[-1]
    assert (phase.learning_rate, phase.candidates, phase.pilot_steps) == (0.25, (), 0)
    assert phase.must_beat_start


def test_without_validation_nothing_is_chosen(plan):
    phase = plan("name=auto", num_validation=0)[-1]
    assert (phase.learning_rate, phase.candidates) == (LEARNING_RATES["lp_ft"], ())
    assert not phase.must_beat_start


def test_random_weights_are_trained_in_full_without_a_probe(plan):
    phases = plan("name=auto", is_pretrained=False)
    assert phases == plan("name=full", is_pretrained=False)
    assert phases[0].batch_norm == "trainable"


def test_only_large_sets_are_mixed_and_only_where_they_may_be(plan):
    assert plan("name=auto", num_examples=19_999)[-1].mixup is None
    large = plan("name=auto", num_examples=20_000)[-1]
    assert large.mixup == 0.2
    assert {c.mixup for c in large.candidates} == {0.2}
    assert plan("name=auto", num_examples=20_000, may_mix=False)[-1].mixup is None


def test_decay_can_be_set(plan):
    assert plan("name=auto", "layer_decay=1")[-1].multipliers == {}
