"""Selection of a phase on validation: candidates, averages of weights, and blends."""

from __future__ import annotations

import json
import math

import keras
import numpy as np
import pytest
from phases import changed

from kft import training
from kft.config import LoraConfig, TrainingConfig
from kft.features import Forward
from kft.model import HEAD, find_factors
from kft.optimization import seed_everything
from kft.selection.averaging import ValidationScorer
from kft.strategies.phases import Solve
from kft.training import PhaseReport
from kft.training.compiled_phase import compile_phase

PLAIN = TrainingConfig(global_batch_size=8)
UNCLIPPED = TrainingConfig(global_batch_size=8, clip_norm=None)
# At this rate the first update overflows.
DIVERGING = 1e38


@pytest.fixture
def solved(assemble_tiny, run_phase, make_phase):
    """Model with a solved head."""
    keras.utils.set_random_seed(0)
    assembled = assemble_tiny()
    run_phase(assembled, make_phase("solved", recipe=Solve()))
    return assembled


@pytest.fixture
def bits():
    """Function that copies every variable of a model, including states of generators."""

    def take(assembled) -> list[bytes]:
        return [variable.numpy().tobytes() for variable in assembled.model.variables]

    return take


@pytest.fixture
def score(make_feed):
    """Function that scores a model on validation."""

    def score_it(assembled):
        answers = Forward(assembled.model, assembled.head.activate)
        batches = make_feed(assembled).in_order("validation")
        return ValidationScorer(answers, assembled.head, batches)()

    return score_it


def at_rates(phase, *rates, **changes):
    """Give the phase itself at these rates as candidates."""
    candidates = tuple(changed(phase, learning_rate=rate) for rate in rates)
    given = {"pilot_steps": 2, "is_sequential": True, "blends": True} | changes
    return changed(candidates[0], candidates=candidates, **given)


def tried_in(fitted) -> list[dict]:
    return fitted.facts["candidates"]["tried"]


# Candidates


def test_the_first_promising_rate_is_chosen_and_later_rates_are_not_tried(
    run_phase, assemble_tiny, make_phase, tmp_path
):
    fitted = run_phase(assemble_tiny(), at_rates(make_phase(steps=20), 0.1, 0.01, 0.001))
    assert [(t["learning_rate"], t["is_chosen"]) for t in tried_in(fitted)] == [(0.1, True)]
    assert fitted.phase.fit.learning_rate == 0.1
    assert not fitted.is_undone
    assert fitted.facts["blend"]["share"] > 0
    assert fitted.facts["comparison"]["is_better"]
    written = json.loads((tmp_path / "probe" / "phase.json").read_text())
    assert written["candidates"] == fitted.facts["candidates"]
    assert written["learning_rate"] == 0.1


def test_the_chosen_rate_continues_from_its_trial(
    run_phase, assemble_tiny, make_phase, make_feed, splits, bits, restored_globals
):
    seed_everything(0)
    chosen, by_hand = assemble_tiny(), assemble_tiny()
    phase = make_phase(steps=7, learning_rate=0.1)
    fitted = run_phase(chosen, at_rates(phase, 0.1, blends=False), PLAIN)
    assert fitted.steps_done == 7
    # Two of the seven steps are those of the trial.
    assert len(fitted.history) == 3
    assert fitted.traces == 1
    compiled = compile_phase(
        by_hand,
        phase,
        PLAIN,
        make_feed(by_hand, phases=(phase,)).for_phase,
        learned_targets=splits.train.targets,
    )
    compiled.restart(steps=2)
    compiled.run(steps=2, is_validated=False)
    compiled.restart(steps=5)
    compiled.run(first_step=2)
    assert bits(chosen) == bits(by_hand)


# The last step of a trial may be the one whose update overflows.
@pytest.mark.parametrize("pilot_steps", [1, pytest.param(2, marks=pytest.mark.full)])
def test_a_diverging_candidate_is_rejected_and_the_next_starts_from_the_start_weights(
    run_phase, assemble_tiny, make_phase, bits, restored_globals, display, pilot_steps
):
    seed_everything(0)
    after_it, alone = assemble_tiny(), assemble_tiny()
    phase = make_phase(steps=8)
    fitted = run_phase(
        after_it, at_rates(phase, DIVERGING, 0.1, pilot_steps=pilot_steps), UNCLIPPED
    )
    diverged, taken = tried_in(fitted)
    assert diverged["validation"] is None
    assert not diverged["is_promising"]
    assert taken["is_chosen"]
    assert "(diverged)" in display.console.file.getvalue()
    run_phase(alone, at_rates(phase, 0.1, pilot_steps=pilot_steps), UNCLIPPED)
    assert bits(after_it) == bits(alone)


def test_a_phase_without_a_promising_candidate_is_skipped_bit_for_bit(
    run_phase, solved, make_phase, bits, tmp_path, display
):
    before = bits(solved)
    phase = at_rates(make_phase("deep", "stage4", HEAD, steps=8), DIVERGING, 3.0, pilot_steps=5)
    fitted = run_phase(solved, phase, UNCLIPPED)
    assert bits(solved) == before
    assert fitted.is_undone
    assert fitted.history == []
    written = json.loads((tmp_path / "deep" / "phase.json").read_text())
    assert written["is_undone"]
    assert written["steps_done"] == 0
    tried = written["candidates"]["tried"]
    assert [trial["is_promising"] for trial in tried] == [False, False]
    # Its best blend is the start.
    assert tried[0]["blend"] is None
    assert tried[1]["blend"]["share"] == 0
    assert tried[1]["validation"]["loss"] == tried[1]["blend"]["tried"][0]["loss"]
    assert "blend" not in written
    assert "2 trials of 5 steps did not improve validation" in display.console.file.getvalue()


def test_of_block_candidates_the_lowest_loss_wins_and_only_its_blocks_change(
    run_phase, assemble_tiny, make_phase
):
    assembled = assemble_tiny()
    before = assembled.blocks.digests()
    # The rate of the second is so low that it hardly changes.
    candidates = (
        make_phase("surgical", "stage3", HEAD, steps=4, learning_rate=1e-2),
        make_phase("surgical", "stage4", HEAD, steps=4, learning_rate=1e-6),
    )
    fitted = run_phase(assembled, changed(candidates[1], candidates=candidates, pilot_steps=2))
    losses = [trial["validation"]["loss"] for trial in tried_in(fitted)]
    assert losses[0] < losses[1]
    assert [trial["is_chosen"] for trial in tried_in(fitted)] == [True, False]
    assert fitted.phase.scope.trainable == ("stage3", HEAD)
    after = assembled.blocks.digests()
    assert {name for name in before if before[name] != after[name]} == {"stage3", HEAD}
    assert fitted.steps_done == 4


def test_a_warmup_longer_than_a_trial_is_shortened(run_phase, assemble_tiny, make_phase):
    candidates = tuple(
        make_phase("surgical", block, HEAD, steps=6) for block in ("stage4", "stage3")
    )
    phase = changed(candidates[0], candidates=candidates, pilot_steps=2)
    config = TrainingConfig(global_batch_size=8, warmup="3 steps")
    assert run_phase(assemble_tiny(), phase, config).steps_done == 6


# Blends with the start


@pytest.mark.parametrize("lora", [None, pytest.param(LoraConfig(rank=2), marks=pytest.mark.full)])
def test_a_phase_of_which_no_blend_is_better_is_undone_bit_for_bit(
    run_phase, solved, make_phase, bits, lora, display
):
    before = bits(solved)
    phase = make_phase("deep", "stage4", HEAD, learning_rate=3.0, blends=True, lora=lora)
    fitted = run_phase(solved, phase, UNCLIPPED)
    assert bits(solved) == before
    assert fitted.is_undone
    assert fitted.steps_done == 4
    assert fitted.facts["blend"]["share"] == 0
    assert not fitted.facts["comparison"]["is_better"]
    assert "deep: no blend improves the loss on unseen data" in display.console.file.getvalue()


def test_a_blended_phase_has_the_loss_of_its_blend(
    run_phase, assemble_tiny, make_phase, score, tmp_path, restored_globals
):
    seed_everything(0)
    assembled = assemble_tiny()
    # The rate is so high that the steps go beyond the optimum.
    phase = make_phase("deep", "stage4", HEAD, steps=8, learning_rate=0.1, blends=True)
    fitted = run_phase(assembled, phase)
    losses = {tried["share"]: tried["loss"] for tried in fitted.facts["blend"]["tried"]}
    share = fitted.facts["blend"]["share"]
    assert share == min(losses, key=losses.get) > 0
    assert score(assembled).loss == pytest.approx(losses[share], rel=1e-4)
    written = json.loads((tmp_path / "deep" / "phase.json").read_text())
    assert written["blend"] == fitted.facts["blend"]
    assert (written["share"], written["is_undone"]) == (share, False)


# Averages


def test_early_stopping_restores_the_best_epoch(run_phase, assemble_tiny, make_phase, score):
    assembled = assemble_tiny()
    # The rate is so high that it soon overshoots.
    phase = make_phase(steps=24, learning_rate=1.0)
    config = TrainingConfig(
        global_batch_size=8, early_stopping=2, schedule="constant", warmup=0, clip_norm=None
    )
    fitted = run_phase(assembled, phase, config)
    losses = [row["val_loss"] for row in fitted.history]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 12
    assert fitted.facts["restored_epoch"] == best + 1
    assert score(assembled).loss == pytest.approx(losses[best], rel=1e-4)


def test_a_phase_ends_with_its_soup_and_interpolation_and_reports_them(
    run_phase, assemble_tiny, make_phase, score
):
    assembled = assemble_tiny()
    config = TrainingConfig(global_batch_size=8, soup=3, wise_ft=True)
    phase = make_phase("last", "stage4", HEAD, steps=10, learning_rate=0.03)
    fitted = run_phase(assembled, phase, config)
    soup, interpolation = fitted.facts["greedy_soup"], fitted.facts["wise_ft"]
    assert len(soup["tried"]) == 3
    assert [t["name"] for t in interpolation["tried"]] == [f"alpha 0.{n}" for n in range(1, 10)]
    # The interpolation starts from the result of the soup, and the phase keeps its result.
    assert interpolation["before"]["loss"] == pytest.approx(soup["after"]["loss"], rel=1e-5)
    assert score(assembled).loss == pytest.approx(interpolation["after"]["loss"], rel=1e-4)


def test_a_probe_is_not_interpolated_with_an_untrained_head(run_phase, assemble_tiny, make_phase):
    config = TrainingConfig(global_batch_size=8, wise_ft=True)
    fitted = run_phase(assemble_tiny(is_head_drawn=False), make_phase(), config)
    assert "wise_ft" not in fitted.facts


@pytest.mark.full
def test_an_interpolation_with_low_rank_factors_interpolates_merged_weights(
    run_phase, assemble_tiny, make_phase, score, restored_globals
):
    seed_everything(0)
    start = assemble_tiny().model.get_weights()
    config = TrainingConfig(global_batch_size=8, wise_ft=True)
    phase = make_phase("lora", "stage4", HEAD, learning_rate=3e-2, lora=LoraConfig(rank=2))
    seed_everything(0)
    tuned = assemble_tiny()
    run_phase(tuned, phase)
    seed_everything(0)
    assembled = assemble_tiny()
    fitted = run_phase(assembled, phase, config)
    facts = fitted.facts["wise_ft"]
    assert score(assembled).loss == pytest.approx(facts["after"]["loss"], rel=1e-3)
    assert not [f for block in assembled.blocks.blocks for f in find_factors(block)]
    halfway = next(t for t in facts["tried"] if t["name"] == "alpha 0.5")
    mean = [(a + b) / 2 for a, b in zip(start, tuned.model.get_weights(), strict=True)]
    assembled.model.set_weights(mean)
    assert score(assembled).loss == pytest.approx(halfway["loss"], rel=1e-3)
    assert math.isfinite(halfway["loss"])


# Phases that follow another


@pytest.mark.full
@pytest.mark.parametrize(
    ("changes", "traces"),
    [({"ema": 0.5}, 0), ({"l2_sp": 0.01}, 0), ({"class_weights": "balanced"}, 1)],
)
def test_a_phase_that_reuses_a_traced_step_ends_as_with_its_own(
    assemble_tiny,
    make_phase,
    make_compiler,
    display,
    bits,
    tmp_path,
    restored_globals,
    changes,
    traces,
):
    config = TrainingConfig(global_batch_size=8, **changes)
    seed_everything(0)
    one, other = assemble_tiny(), assemble_tiny()
    first = make_phase("deep", "stage4", HEAD, augmentation="light")
    more = {"learns_from": ("train", "validation"), "steps": 5, "steps_per_epoch": 3}
    then = changed(first, name="then", learning_rate=3e-3, **more)
    shared = make_compiler(one, (first, then), config)
    separate = [make_compiler(other, (first, then), config) for _ in range(2)]
    fitted = []
    for phase, alone in zip((first, then), separate, strict=True):
        report = PhaseReport(tmp_path / phase.name, phase.name, display)
        fitted.append(training.run_phase(shared, phase, report))
        report = PhaseReport(tmp_path / "alone" / phase.name, phase.name, display)
        training.run_phase(alone, phase, report)
    assert [each.traces for each in fitted] == [1, traces]
    assert bits(one) == bits(other)
    histories = [tmp_path / name / "then/history.csv" for name in (".", "alone")]
    assert histories[0].read_text() == histories[1].read_text()
