"""A whole run on the texts of a table: its export takes any bytes and answers as the model."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tensorflow as tf
from killed_runs import compare_killed_run
from reviews import write_reviews

import kft
from kft.config import load_pipeline
from kft.display import Display
from kft.evaluation.ladder import read_ladder
from kft.modalities.text.baseline import NAME
from kft.run_operations.predict import predict
from kft.serving import ServingProcess
from kft.serving.predictor import Answer
from kft.training import load_trained
from kft.workflow import train

UNUSUAL = (
    b"",
    b"   ",
    b"\xff\xfe caf\xe9",
    b"nul \0 byte",
    "👩‍👩‍👧 \u202eשלום漢字".encode(),
    b"a great great film , " * 5_000,
    b"x" * 100_000,
)


@pytest.mark.full
def test_a_table_of_texts_is_learned_and_its_export_takes_any_bytes(tmp_path):
    write_reviews(tmp_path)
    overrides = (
        "data.table.text_columns=[text]",
        "backbone.name=word_vectors",
        f"backbone.weights={tmp_path}/vectors.txt",
        "backbone.options.encoder=cnn",
        "backbone.options.units=4",
        "strategy.name=lp_ft",
        "strategy.duration=2 epochs",
        "training.global_batch_size=16",
        f"runs_directory={tmp_path}/runs",
        f"export.directory={tmp_path}/saved_models",
    )
    finished = train(load_pipeline(str(tmp_path / "reviews.csv"), overrides), Display())
    assert finished.evaluation.figures["accuracy"] > 0.8
    assert finished.export is not None and finished.export.largest_difference < 1e-5
    rungs, _ = read_ladder(finished.run.evaluation("holdout"))
    (rung,) = (rung for rung in rungs if rung.name == NAME)
    assert rung.value > 0.8 and rung.interval is not None
    files = []
    for number, content in enumerate(UNUSUAL):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_bytes(content)
    with ServingProcess() as process:
        served = process.answer(finished.export.path, list(map(str, files)))
    trained = load_trained(finished.run)
    decoded = tf.map_fn(
        trained.decoder, tf.constant(UNUSUAL), fn_output_signature=trained.decoder.output
    )
    expected = trained.head.activate(trained.model(decoded)).numpy()
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-5)
    answers = list(predict(finished.export.path, list(map(str, files))))
    is_answered = [isinstance(answer, Answer) for answer in answers]
    # The gate refuses what is empty, damaged or holds a zero byte.
    assert is_answered == [False, False, False, False, True, True, True]


# KerasHub leaves the file of the tokenizer's model to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.full
def test_strings_in_memory_are_learned_and_the_export_names_the_package_that_it_needs(
    tmp_path, capsys
):
    sentencepiece = pytest.importorskip("sentencepiece", reason="the extra `hub` is missing")
    import keras_hub

    good = [f"a fine and lovely film number {number}" for number in range(60)]
    bad = [f"a dull and awful story number {number}" for number in range(60)]
    proto = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*good, *bad]),
        model_writer=proto,
        vocab_size=60,
        hard_vocab_limit=False,
        **{"pad_id": 0, "unk_id": 1, "bos_id": 2, "eos_id": 3, "pad_piece": "<pad>"},
        **{"bos_piece": "[CLS]", "eos_piece": "[SEP]", "user_defined_symbols": "[MASK]"},
    )
    tokenizer = keras_hub.tokenizers.AlbertTokenizer(proto=proto.getvalue())
    sizes = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16, "intermediate_dim": 16}
    trunk = keras_hub.models.AlbertBackbone(
        tokenizer.vocabulary_size(), embedding_dim=8, max_sequence_length=32, **sizes
    )
    trunk.save_to_preset(tmp_path / "albert")
    tokenizer.save_to_preset(tmp_path / "albert")
    run = kft.train(
        ([*good, *bad], ["good"] * 60 + ["bad"] * 60),
        backbone=f"keras_hub:{tmp_path / 'albert'}",
        strategy={"name": "full", "duration": "6 epochs", "learning_rate": 5e-3},
        runs_directory=tmp_path / "runs",
        export={"directory": tmp_path / "saved_models"},
    )
    assert "The export needs tensorflow-text" in capsys.readouterr().err
    asked = ["a lovely film \U0001f44d", "an awful story"]
    exported = kft.load(tmp_path / "saved_models" / run.path.parent.name)
    chosen = [answer.chosen for answer in run.predict(asked)]
    assert chosen == [answer.chosen for answer in exported.predict(asked)] == [["good"], ["bad"]]
    assert run.evaluate((good[:9], ["good"] * 9))["accuracy"] == 1


@pytest.mark.full
def test_a_killed_run_is_resumed_to_the_same_weights(tmp_path):
    write_reviews(tmp_path)
    own = (
        *("backbone.name=word_vectors", "backbone.weights=vectors.txt"),
        *("backbone.options.encoder=lstm", "backbone.options.units=4"),
        *("strategy.name=full", "strategy.duration=200 steps"),
        *("training.global_batch_size=16", "data.text.augmentation=word_dropout"),
    )
    whole, resumed = compare_killed_run(tmp_path, "reviews.csv", *own)
    assert whole == resumed
