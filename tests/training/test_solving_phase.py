"""A solved phase sets the head to the optimum of the loss that training would minimise."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image
from scipy import special

from kft.config import HeadConfig, TrainingConfig
from kft.linear import problem as problem_module
from kft.linear.layered import GAMMAS
from kft.model import HEAD
from kft.objectives import make_supervised
from kft.strategies.phases import Solve
from kft.tasks import find_task, make_head
from kft.tasks.block_statistics import STATISTICS
from kft.training import PhaseReport
from kft.training.solving import solve_phase
from kft.training.temperature import divide_logits

NAMES = ("cat", "dog", "owl")
# The classes are imbalanced, so that corrections have an effect.
CLASSES = np.repeat([0, 1, 2], [20, 8, 4])
LABELS = np.random.default_rng(1).uniform(size=(32, 3)).round()
NUMBERS = np.random.default_rng(2).normal([50, -3, 0.1], [9, 1, 0.02], (32, 3))
# As many features as small_cnn of width 4 has.
VECTORS = np.random.default_rng(0).normal(1, 1, (32, 32)).astype(np.float32)
VECTORS[np.arange(32), CLASSES] += 1.5


@pytest.fixture
def solve(assemble_tiny, make_phase, tmp_path, display):
    """Function that solves for a head, without its temperature; returns model and result."""

    def solve_it(targets, kind="class", **training):
        head = make_head(HeadConfig(), find_task(kind), NAMES, targets)
        assembled = assemble_tiny(head=head)
        before = assembled.blocks.digests()
        fitted = solve_phase(
            assembled,
            make_phase("linear_probe", recipe=Solve()),
            TrainingConfig(**training),
            lambda phase: VECTORS,
            learned_targets=head.standardise(targets),
            report=PhaseReport(tmp_path / "phase", "Phase 1 of 1", display),
        )
        if fitted.temperature is not None:
            divide_logits(assembled.model, 1 / fitted.temperature)
        after = assembled.blocks.digests()
        assert {name for name in before if before[name] != after[name]} == {HEAD}
        return assembled, fitted

    return solve_it


def logits_of(assembled) -> np.ndarray:
    layer = assembled.model.get_layer("logits")
    return VECTORS @ layer.kernel.numpy() + layer.bias.numpy()


@pytest.mark.parametrize(
    ("training", "weights", "smoothing", "offsets"),
    [
        ({}, (1, 1, 1), 0.0, 0.0),
        ({"label_smoothing": 0.2}, (1, 1, 1), 0.2, 0.0),
        ({"class_weights": "balanced"}, (32 / 60, 32 / 24, 32 / 12), 0.0, 0.0),
        ({"class_weights": {"owl": 5.0}}, (1, 1, 5), 0.0, 0.0),
        ({"sampling": "balanced"}, (32 / 60, 32 / 24, 32 / 12), 0.0, 0.0),
        ({"logit_adjustment": 1.0}, (1, 1, 1), 0.0, np.log([20 / 32, 8 / 32, 4 / 32])),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_the_solution_respects_the_terms_of_the_loss_of_classes(
    solve, training, weights, smoothing, offsets
):
    assembled, _ = solve(CLASSES, **training)
    probabilities = special.softmax(logits_of(assembled) + offsets, axis=1)
    targets = np.eye(3)[CLASSES] * (1 - smoothing) + smoothing / 3
    counted = np.asarray(weights)[CLASSES, np.newaxis]
    # The bias is not penalised, so its gradient is zero at the optimum.
    gradient = (counted * (probabilities - targets)).sum(axis=0)
    assert gradient == pytest.approx(np.zeros(3), abs=0.02)
    if training:
        plain, _ = solve(CLASSES)
        assert np.abs(logits_of(plain) - logits_of(assembled)).max() > 0.1


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_labels_are_solved_independently(solve, smoothing):
    assembled, _ = solve(LABELS, "labels", label_smoothing=smoothing)
    targets = LABELS * (1 - smoothing) + smoothing / 2
    answered = special.expit(logits_of(assembled))
    assert answered.mean(axis=0) == pytest.approx(targets.mean(axis=0), abs=1e-3)


def test_numbers_keep_their_unit(solve):
    assembled, _ = solve(NUMBERS, "number")
    answered = assembled.head.restore_units(assembled.head.activate(logits_of(assembled)))
    assert answered.mean(axis=0) == pytest.approx(NUMBERS.mean(axis=0), rel=1e-3)


def test_no_step_lowers_the_penalised_loss_of_the_solution(solve, make_phase):
    assembled, fitted = solve(CLASSES)
    loss = make_supervised(assembled.head, TrainingConfig(), CLASSES).loss
    layer = assembled.model.get_layer("logits")
    penalty = fitted.facts["solution"]["penalty"] / len(CLASSES)
    kernel = layer.kernel.numpy()

    def objective(change) -> float:
        moved = VECTORS @ (kernel + change) + layer.bias.numpy()
        return float(loss(CLASSES, moved)) + penalty * float(np.square(kernel + change).sum())

    rng = np.random.default_rng(3)
    for _ in range(20):
        change = rng.normal(0, 0.01, kernel.shape).astype(np.float32)
        assert objective(change) > objective(0 * change)


def test_phase_json_lists_the_penalties_that_were_tried(solve, tmp_path, display):
    _, fitted = solve(CLASSES)
    written = json.loads((tmp_path / "phase" / "phase.json").read_text())
    assert written["method"] == "solve"
    assert written["steps_done"] == 0
    assert written["solution"] == fitted.facts["solution"]
    best = min(written["solution"]["path"], key=lambda attempt: attempt["loss"])
    assert written["solution"]["penalty"] == best["penalty"]
    assert f"cross-validated accuracy {best['score']:.3f}" in display.console.file.getvalue()


def test_each_penalty_is_reported_as_soon_as_it_was_tried(solve, display, monkeypatch):
    monkeypatch.setattr("kft.display.PLAIN_INTERVAL_SECONDS", 0.0)
    _, fitted = solve(CLASSES)
    lines = display.console.file.getvalue().splitlines()
    assert len([line for line in lines if "(penalty" in line and "loss" in line]) == len(
        fitted.facts["solution"]["path"]
    )


def test_a_penalty_chosen_on_one_held_out_part_is_reported_as_such(solve, display, monkeypatch):
    monkeypatch.setattr("kft.linear.solving.MAX_FOLDED_WORK", 0)
    _, fitted = solve(CLASSES)
    assert fitted.facts["solution"]["num_judged"] == 32 // 5
    assert "on 6 held-out examples, accuracy" in display.console.file.getvalue()


@pytest.mark.parametrize("is_large", [False, True])
def test_the_same_features_give_the_same_head_bit_for_bit(solve, monkeypatch, is_large):
    if is_large:
        monkeypatch.setattr(problem_module, "MAX_HELD", 100)
    (first, _), (second, _) = solve(CLASSES), solve(CLASSES)
    assert logits_of(first).tobytes() == logits_of(second).tobytes()


TAPS = ("stem", "stage2")


@pytest.fixture(scope="module")
def layered(assemble_tiny):
    """Model whose head reads three blocks."""
    head = replace(make_head(HeadConfig(), find_task("class"), NAMES, CLASSES), taps=TAPS)
    return assemble_tiny(head=head)


def test_a_head_with_taps_is_solved_on_the_statistics_of_every_block(
    layered, run_phase, make_phase, splits, tmp_path, display
):
    fitted = run_phase(layered, make_phase("linear_probe", recipe=Solve()))
    assert fitted.computed_from == STATISTICS
    solution = json.loads((tmp_path / "linear_probe" / "phase.json").read_text())["solution"]
    assert solution == json.loads(json.dumps(fitted.facts["solution"]))
    assert solution["taps"] == list(TAPS)
    assert solution["num_cross_validated"] == len(splits.train)
    members = {(each["gamma"], each["method"]) for each in solution["members"]}
    assert members == set(itertools.product(GAMMAS, ("solved", "discriminant")))
    assert sum(each["weight"] for each in solution["members"]) == pytest.approx(1)
    assert solution["loss"] <= min(each["loss"] for each in solution["members"]) + 1e-6
    said = display.console.file.getvalue()
    assert f"block, cross-validated accuracy {solution['score']:.3f}" in said


def test_logits_of_a_head_with_taps_are_its_statistics_times_its_kernel_plus_its_bias(
    layered, run_phase, make_phase, splits
):
    run_phase(layered, make_phase("linear_probe", recipe=Solve()))
    layer = layered.model.get_layer("logits")
    statistics = layered.model.get_layer(STATISTICS).output
    both = keras.Model(layered.model.input, [statistics, layered.model.output])
    read, logits = (values.numpy() for values in both({"pixels": read_pictures(splits.train)}))
    widths = layered.head.list_widths(layered.model)
    assert [len(block) for block in widths] == [2, 2, 2]
    assert read.shape[1] == layer.kernel.shape[0] == sum(map(sum, widths))
    expected = read @ layer.kernel.numpy() + layer.bias.numpy()
    assert logits == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert np.array_equal(logits.argmax(axis=1), splits.train.targets)


def read_pictures(examples) -> np.ndarray:
    """Read pictures as float32 pixels (examples, 32, 32, 3)."""
    pictures = [np.asarray(Image.open(path).resize((32, 32))) for path in examples.inputs.paths]
    return np.stack(pictures).astype(np.float32)


def test_a_probe_is_solved_on_the_features_of_the_examples(
    run_phase, assemble_tiny, make_phase, splits
):
    assembled = assemble_tiny()
    fitted = run_phase(assembled, make_phase("linear_probe", recipe=Solve()))
    assert fitted.computed_from == "feature_vector"
    assert fitted.facts["solution"]["path"][-1]["score"] == 1.0
    answered = assembled.model({"pixels": read_pictures(splits.train)}).numpy().argmax(axis=1)
    assert np.array_equal(answered, splits.train.targets)
