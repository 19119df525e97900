"""Outputs in order, and predictions.csv that reads back to the same numbers."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from kft.config import HeadConfig
from kft.evaluation import Predictor, evaluate
from kft.evaluation.prediction import write_predictions
from kft.features import Forward, selection
from kft.heads import HEADS, make_head

NAMES = ("cat", "dog", "owl")
FILES = ("cat/0.png", "dog/1, 2.png", 'owl/"3".png', "Füße/4.png")
TARGETS = {
    "class": np.array([0, 1, 2, 1]),
    "labels": np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]], np.float32),
    "number": np.array([[0.1, -2, 3e-9], [1e9, 5, 5], [-0.3, 5, 7], [0, 1, 2]], np.float32),
}
KINDS = sorted(TARGETS)


def head_for(kind: str):
    return make_head(HeadConfig(), kind, NAMES, TARGETS[kind])


def outputs_for(kind: str) -> np.ndarray:
    logits = np.random.default_rng(0).normal(0, 3, (4, 3)).astype(np.float32)
    return np.asarray(head_for(kind).activate(logits), np.float32)


def write(folder, kind: str) -> list[dict[str, str]]:
    path = folder / "predictions.csv"
    write_predictions(
        path, head=head_for(kind), files=FILES, targets=TARGETS[kind], outputs=outputs_for(kind)
    )
    return read_rows(path)


def read_rows(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(rows, columns) -> np.ndarray:
    return np.array([[np.float32(row[column]) for column in columns] for row in rows])


def test_every_head_has_its_case_here():
    assert {HEADS.load(name).target_kind for name in HEADS} == set(KINDS)


def test_classes_are_written_by_name_with_every_probability(tmp_path):
    rows = write(tmp_path, "class")
    outputs = outputs_for("class")
    assert list(rows[0]) == ["file", "true", "predicted", *NAMES]
    assert [row["file"] for row in rows] == list(FILES)
    assert [row["true"] for row in rows] == ["cat", "dog", "owl", "dog"]
    assert [row["predicted"] for row in rows] == [NAMES[i] for i in outputs.argmax(axis=1)]
    assert np.array_equal(read(rows, NAMES), outputs)


@pytest.mark.parametrize("kind", ["labels", "number"])
def test_labels_and_numbers_are_written_beside_the_truth(tmp_path, kind):
    rows = write(tmp_path, kind)
    true, predicted = ([f"{what} {name}" for name in NAMES] for what in ("true", "predicted"))
    assert list(rows[0]) == ["file", *true, *predicted]
    assert [row["file"] for row in rows] == list(FILES)
    assert np.array_equal(read(rows, true), TARGETS[kind])
    assert np.array_equal(read(rows, predicted), outputs_for(kind))


def test_rows_that_do_not_belong_together_are_refused(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        write_predictions(
            tmp_path / "p.csv",
            head=head_for("class"),
            files=FILES[:3],
            targets=TARGETS["class"],
            outputs=outputs_for("class"),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def batches():
    pixels = np.random.default_rng(1).uniform(0, 255, (5, 32, 32, 3)).astype(np.float32)
    return tf.data.Dataset.from_tensor_slices((pixels, np.array([0, 1, 2, 0, 1]))).batch(2)


@pytest.mark.parametrize("has_targets", [True, False])
def test_outputs_come_in_order_from_batches_of_any_size(tiny_assembled, batches, has_targets):
    model, head = tiny_assembled.model, tiny_assembled.head
    pixels = np.concatenate([pixels for pixels, _ in batches.as_numpy_iterator()])
    given = batches if has_targets else batches.map(lambda pixels, targets: pixels)
    told = []
    predictor = Predictor(Forward(model, head.activate), num_examples=5)
    outputs = predictor(
        given, num_examples=5, progress=lambda done, total: told.append((done, total))
    )
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert outputs.dtype == np.float32
    assert np.ptp(outputs, axis=0).max() > 1e-4
    assert np.allclose(outputs, np.asarray(head.activate(model(pixels))), atol=1e-5)


def test_an_evaluation_writes_both_files_and_gives_what_they_hold(
    tiny_assembled, batches, tmp_path
):
    targets = np.array([0, 1, 2, 0, 1])
    answers = Forward(tiny_assembled.model, tiny_assembled.head.activate)
    evaluation = evaluate(
        Predictor(answers, num_examples=5),
        tiny_assembled.head,
        batches,
        files=[f"{index}.png" for index in range(5)],
        targets=targets,
        train_targets=targets,
        folder=tmp_path / "evaluation" / "holdout",
        progress=lambda done, total: None,
    )
    folder = tmp_path / "evaluation" / "holdout"
    assert json.loads((folder / "metrics.json").read_text()) == evaluation.figures
    rows = read_rows(folder / "predictions.csv")
    right = sum(row["true"] == row["predicted"] for row in rows)
    assert evaluation.figures["accuracy"] == right / 5
    assert np.array_equal(read(rows, tiny_assembled.head.class_names), evaluation.outputs)


def test_over_many_files_the_chosen_engine_computes_to_within_the_parity_gate(
    tiny_assembled, monkeypatch
):
    model, head = tiny_assembled.model, tiny_assembled.head
    pixels = np.random.default_rng(1).uniform(0, 255, (70, 32, 32, 3)).astype(np.float32)
    monkeypatch.setattr(selection, "EXAMPLES_PER_LAYER", 1)
    engines = []
    make_engine = selection.make_engine

    def remember(name, forward):
        engines.append(name)
        return make_engine(name, forward)

    monkeypatch.setattr(selection, "make_engine", remember)
    for engine, made in (("keras", ["keras"]), ("auto", ["litert"])):
        engines.clear()
        predictor = Predictor(Forward(model, head.activate), num_examples=70, engine=engine)
        outputs = predictor(
            tf.data.Dataset.from_tensor_slices(pixels).batch(32),
            num_examples=70,
            progress=lambda done, total: None,
        )
        assert engines == made
        assert outputs.shape == (70, 3)
        assert np.abs(outputs - np.asarray(head.activate(model(pixels)))).max() < 1e-5
