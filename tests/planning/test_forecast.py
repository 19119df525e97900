"""Forecast of a run's duration."""

import pytest
from phases import changed, phase_of

from kft.config import FeaturesConfig, LoraConfig
from kft.model import HEAD
from kft.planning import forecast_phases
from kft.planning.forecast import (
    SOLUTION_SECONDS,
    STORED_STEP_SECONDS,
    TRAINING_FORWARDS,
    measure_forward_seconds,
)
from kft.strategies import Phase
from kft.strategies.phases import Folds, Scope, Solve

BLOCKS = ("stem", "stage1", "stage2", "stage3", "stage4", HEAD)
PROBE = phase_of("linear_probe", (HEAD,), 1e-3, 100, 10)
LAST = phase_of("last", ("stage4", HEAD), 1e-3, 50, 10, batch_norm="trainable")
FULL = phase_of("full", BLOCKS, 1e-3, 25, 10, augmentation="light")
AUGMENTED = phase_of("augmented", (HEAD,), 1e-3, 25, 10, augmentation="light")


@pytest.fixture
def one_second_a_picture(monkeypatch):
    """Let the whole model take a second per picture, and a suffix a hundredth of one."""
    monkeypatch.setattr(
        "kft.planning.forecast.measure_forward_seconds",
        lambda model, batch_size: 0.01 if model.name == "suffix" else 1.0,
    )


def forecast(assembled, *phases, num_train=80, **features):
    return forecast_phases(
        assembled,
        phases,
        features=FeaturesConfig(**features),
        num_train=num_train,
        num_validation=20,
        global_batch_size=8,
    )


def test_a_forecast_shows_what_is_stored_and_what_is_recomputed(
    tiny_assembled, one_second_a_picture
):
    forecasts = forecast(tiny_assembled, PROBE, LAST, FULL, AUGMENTED, views=0)
    assert [f.phase for f in forecasts] == [PROBE, LAST, FULL, AUGMENTED]
    assert [f.computed_from for f in forecasts] == ["feature_vector", "stage3", "inputs", "inputs"]


def test_activations_that_do_not_fit_are_forecast_to_be_recomputed(
    tiny_assembled, one_second_a_picture
):
    # 80 vectors of 32 numbers take 10,240 bytes, and four views of them 40,960.
    tight = {"limit_gigabytes": 2e-5, "views": 4}
    long = changed(AUGMENTED, steps=50)
    probe, augmented = forecast(tiny_assembled, PROBE, long, **tight)
    assert [probe.computed_from, augmented.computed_from] == ["feature_vector", "inputs"]
    assert {row.computed_from for row in augmented.rows} == {"computed"}
    assert augmented.seconds == pytest.approx(TRAINING_FORWARDS * 50 * 8 + 5 * 20)
    (roomy,) = forecast(tiny_assembled, long, limit_gigabytes=5e-5, views=4)
    assert roomy.computed_from == "feature_vector"


def test_a_forecast_has_the_rows_of_its_phase(tiny_assembled, one_second_a_picture):
    for found in forecast(tiny_assembled, PROBE, LAST, FULL):
        assert [row.block for row in found.rows] == list(BLOCKS)
        trained = {row.block for row in found.rows if row.trainable_parameters}
        assert trained == set(found.phase.scope.trainable)


def test_trainable_parameters_are_counted(tiny_assembled, one_second_a_picture):
    probe, last, full, _ = forecast(tiny_assembled, PROBE, LAST, FULL, AUGMENTED)
    total = tiny_assembled.model.count_params()
    assert {f.parameters for f in (probe, last, full)} == {total}
    assert probe.trainable_parameters == 32 * 3 + 3
    stage4 = tiny_assembled.blocks["stage4"]
    statistics = sum(v.shape[0] for v in stage4.variables if "moving_" in v.path)
    assert last.trainable_parameters == 99 + stage4.num_parameters - statistics
    norms = sum(v.shape[0] for v in tiny_assembled.backbone.model.weights if "_bn/" in v.path)
    assert full.trainable_parameters == total - norms


def test_a_probe_costs_one_pass_and_full_training_three_per_step(
    tiny_assembled, one_second_a_picture
):
    probe, full = forecast(tiny_assembled, PROBE, FULL)
    steps, judging = TRAINING_FORWARDS * 100 * 8 * 0.01, 10 * 20 * 0.01
    assert probe.seconds == pytest.approx(80 + 20 + steps + judging)
    assert full.seconds == pytest.approx(TRAINING_FORWARDS * 25 * 8 + 3 * 20)


def test_a_step_on_stored_features_costs_at_least_the_loop_around_it(tiny_assembled, monkeypatch):
    monkeypatch.setattr(
        "kft.planning.forecast.measure_forward_seconds",
        lambda model, batch_size: 1e-9 if model.name == "suffix" else 1.0,
    )
    (probe,) = forecast(tiny_assembled, PROBE)
    assert probe.seconds == pytest.approx(80 + 20 + 100 * STORED_STEP_SECONDS)


def test_a_solved_probe_costs_one_pass_and_its_solution(tiny_assembled, one_second_a_picture):
    solved = Phase("linear_probe", Scope((HEAD,)), Solve())
    (probe,) = forecast(tiny_assembled, solved)
    assert probe.computed_from == "feature_vector"
    assert probe.trainable_parameters == 99
    assert probe.seconds == pytest.approx(80 + 20 + 80 * 99 * SOLUTION_SECONDS)


@pytest.mark.parametrize(("views", "passes"), [(1, 1), (2, 2)])
def test_each_used_view_is_computed_once(tiny_assembled, one_second_a_picture, views, passes):
    (augmented,) = forecast(tiny_assembled, AUGMENTED, views=views)
    assert augmented.computed_from == "feature_vector"
    steps, judging = TRAINING_FORWARDS * 25 * 8 * 0.01, 3 * 20 * 0.01
    assert augmented.seconds == pytest.approx(80 * passes + 20 + steps + judging)


def test_one_trial_of_sequential_candidates_is_counted_and_all_of_others(
    tiny_assembled, one_second_a_picture
):
    candidates = (FULL, changed(FULL, learning_rate=1e-4), changed(FULL, learning_rate=1e-5))
    choice = changed(FULL, candidates=candidates, pilot_steps=5)
    (plain,) = forecast(tiny_assembled, FULL)
    (each,) = forecast(tiny_assembled, choice)
    (in_turn,) = forecast(tiny_assembled, changed(choice, is_sequential=True))
    trial = TRAINING_FORWARDS * 5 * 8 + 20
    assert each.seconds == pytest.approx(plain.seconds + 3 * trial)
    assert in_turn.seconds == pytest.approx(plain.seconds + trial)


def test_a_short_run_and_two_judged_folds_are_counted(tiny_assembled, one_second_a_picture):
    folds = Folds((1e-3, 1e-4), steps=5, judged_after=20, count=4)
    (plain,) = forecast(tiny_assembled, FULL)
    (decided,) = forecast(tiny_assembled, changed(FULL, folds=folds))
    short, judged = TRAINING_FORWARDS * 5 * 8, 2 / 4 * 5 * 80
    assert decided.seconds == pytest.approx(plain.seconds + short + judged)


def test_the_most_expensive_candidate_is_assumed_to_be_chosen(tiny_assembled, one_second_a_picture):
    deep, shallow = phase_of("deep", ("stage4", HEAD), 1e-3, 25, 10), changed(FULL, name="shallow")
    choice = changed(deep, candidates=(deep, shallow), pilot_steps=5)
    (last,) = forecast(tiny_assembled, deep)
    (full,) = forecast(tiny_assembled, shallow)
    (chosen,) = forecast(tiny_assembled, choice)
    assert chosen.seconds > full.seconds > last.seconds


def test_the_few_parameters_of_lora_and_bitfit_are_counted(tiny_assembled, one_second_a_picture):
    lora, bitfit, full = forecast(
        tiny_assembled,
        changed(FULL, lora=LoraConfig(rank=1)),
        changed(FULL, part="bias_norm"),
        FULL,
    )
    assert 99 < lora.trainable_parameters < full.trainable_parameters / 2
    assert 99 < bitfit.trainable_parameters < full.trainable_parameters / 2


def test_a_batch_is_no_larger_than_the_training_split(tiny_assembled, one_second_a_picture):
    (full,) = forecast(tiny_assembled, FULL, num_train=5)
    assert full.seconds == pytest.approx(TRAINING_FORWARDS * 25 * 5 + 3 * 20)


def test_timing_the_forward_pass_changes_no_variable(tiny_assembled):
    before = tiny_assembled.blocks.digests()
    seconds = measure_forward_seconds(tiny_assembled.model, batch_size=2)
    assert 0 < seconds < 1
    assert tiny_assembled.blocks.digests() == before
