"""A whole run on the texts of a table: its export takes any bytes and answers as the model."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kft.config import load_pipeline
from kft.display import Display
from kft.run_operations.predict import predict
from kft.serving.parity import ask_export
from kft.serving.predictor import Answer
from kft.training import load_trained
from kft.workflow import train

WORDS = {"good": ("fine", "great", "lovely"), "bad": ("dull", "weak", "awful")}
OTHERS = ("a", "the", "film", "story", "actor", "music", ",", ".")
UNUSUAL = (
    b"",
    b"   ",
    b"\xff\xfe caf\xe9",
    b"nul \0 byte",
    "👩‍👩‍👧 \u202eשלום漢字".encode(),
    b"a great great film , " * 5_000,
    b"x" * 100_000,
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Create a table of short reviews, and vectors in which good and bad words differ."""
    place = tmp_path_factory.mktemp("texts")
    drawn = np.random.default_rng(0)
    rows = []
    for number in range(120):
        label = "good" if number % 2 else "bad"
        words = [*drawn.choice(OTHERS, 8), *drawn.choice(WORDS[label], 2)]
        rows.append((" ".join(drawn.permutation(words)), label))
    with (place / "reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    signs = {word: sign for label, sign in (("good", 1.0), ("bad", -1.0)) for word in WORDS[label]}
    lines = []
    for word in (*OTHERS, *signs):
        noise = drawn.normal(0, 0.3, 4) + np.array([signs.get(word, 0.0), 0, 0, 0])
        lines.append(f"{word} {' '.join(f'{number:.4f}' for number in noise)}\n")
    (place / "vectors.txt").write_text("".join(lines))
    return place


@pytest.mark.full
def test_a_table_of_texts_is_learned_and_its_export_takes_any_bytes(place, tmp_path):
    overrides = (
        "data.table.text_columns=[text]",
        "backbone.name=word_vectors",
        f"backbone.weights={place}/vectors.txt",
        "backbone.options.encoder=cnn",
        "backbone.options.units=4",
        "strategy.name=lp_ft",
        "strategy.duration=2 epochs",
        "training.global_batch_size=16",
        f"runs_directory={tmp_path}/runs",
        f"export.directory={tmp_path}/saved_models",
    )
    finished = train(load_pipeline(str(place / "reviews.csv"), overrides), Display())
    assert finished.evaluation.figures["accuracy"] > 0.8
    assert finished.export is not None and finished.export.largest_difference < 1e-5
    files = []
    for number, content in enumerate(UNUSUAL):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_bytes(content)
    served = ask_export(finished.export.path, list(map(str, files)))
    trained = load_trained(finished.run)
    decoded = tf.map_fn(
        trained.decoder, tf.constant(UNUSUAL), fn_output_signature=trained.decoder.output
    )
    expected = trained.head.activate(trained.model(decoded)).numpy()
    (probabilities,) = (values for values in served.values() if values.shape == expected.shape)
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    answers = list(predict(finished.export.path, list(map(str, files))))
    is_answered = [isinstance(answer, Answer) for answer in answers]
    # The gate refuses what is empty, damaged or holds a zero byte.
    assert is_answered == [False, False, False, False, True, True, True]
