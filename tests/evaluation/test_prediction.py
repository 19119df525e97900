"""Outputs in order, from the selected engine, and the files of an evaluation."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from kft.config import DataConfig
from kft.evaluation.evaluating import evaluate
from kft.evaluation.prediction import Predictor
from kft.examples import Examples, Files
from kft.features import Forward, selection
from kft.modalities.image.decoding import ImageDecoder


def read_rows(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def batches():
    pixels = np.random.default_rng(1).uniform(0, 255, (5, 32, 32, 3)).astype(np.float32)
    targets = np.array([0, 1, 2, 0, 1])
    return tf.data.Dataset.from_tensor_slices(({"pixels": pixels}, targets)).batch(2)


@pytest.mark.parametrize("has_targets", [True, False])
def test_outputs_are_in_order_for_batches_of_any_size(tiny_assembled, batches, has_targets):
    model, head = tiny_assembled.model, tiny_assembled.head
    pixels = np.concatenate([inputs["pixels"] for inputs, _ in batches.as_numpy_iterator()])
    given = batches if has_targets else batches.map(lambda inputs, targets: inputs)
    reported = []
    predictor = Predictor(Forward(model, head.activate), num_examples=5)
    outputs = predictor(
        given, num_examples=5, progress=lambda done, total: reported.append((done, total))
    )
    assert reported == [(2, 5), (4, 5), (5, 5)]
    assert outputs.dtype == np.float32
    assert np.ptp(outputs, axis=0).max() > 1e-4
    assert np.allclose(outputs, np.asarray(head.activate(model({"pixels": pixels}))), atol=1e-5)


def test_an_evaluation_writes_its_files_and_returns_their_content(
    tiny_assembled, batches, tmp_path
):
    targets = np.array([0, 1, 2, 0, 1])
    files = tuple(f"{index}.png" for index in range(5))
    examples = Examples(files, Files(files), targets)
    answers = Forward(tiny_assembled.model, tiny_assembled.head.activate)
    evaluation = evaluate(
        Predictor(answers, num_examples=5),
        tiny_assembled.head,
        batches,
        examples,
        DataConfig(),
        train_targets=targets,
        folder=tmp_path / "evaluation" / "holdout",
        progress=lambda done, total: None,
        decoder=ImageDecoder(32, 32),
    )
    folder = tmp_path / "evaluation" / "holdout"
    assert json.loads((folder / "metrics.json").read_text()) == evaluation.figures
    rows = read_rows(folder / "predictions.csv")
    right = sum(row["true"] == row["predicted"] for row in rows)
    assert evaluation.figures["accuracy"] == right / 5
    names = tiny_assembled.head.class_names
    written = [[np.float32(row[f"probability {name}"]) for name in names] for row in rows]
    assert np.array_equal(written, evaluation.outputs)
    assert sum(int(row["examples"]) for row in read_rows(folder / "confusion.csv")) == 5


def test_for_many_examples_the_selected_engine_is_within_the_parity_tolerance(
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
            tf.data.Dataset.from_tensor_slices({"pixels": pixels}).batch(32),
            num_examples=70,
            progress=lambda done, total: None,
        )
        assert engines == made
        assert outputs.shape == (70, 3)
        assert np.abs(outputs - np.asarray(head.activate(model({"pixels": pixels})))).max() < 1e-5
