"""Predictions of a finished run or an export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.config import DataConfig
from kft.data.admission.check_files import check_files
from kft.data.batches.example_cache import to_inputs
from kft.data.batches.reading import (
    list_contents,
    make_reader,
    refuse_changed,
    translate_read_errors,
)
from kft.errors import DataError
from kft.evaluation.prediction import Predictor
from kft.examples import Examples, Files, Quarantined
from kft.features import Forward
from kft.modalities import Decoder
from kft.modalities.checked import (
    Checked,
    CheckOptions,
    TrainedCalibration,
    temporary_copies,
    to_examples,
)
from kft.modalities.model_input import FRAME
from kft.run_operations.asked_model import read_calibration, read_config
from kft.runs import open_run
from kft.serving import (
    Answer,
    ExportedModel,
    frame_decoder,
    is_export,
    make_answers,
    read_deviations,
)
from kft.training import load_trained

# Large enough to keep the cores busy, small enough for any memory.
PREDICTION_BATCH_SIZE = 32
# Number of files that are checked together, by one thread per core.
_PIECE = 256
Answerer = Callable[[Examples], list[Answer]]
LoadedModel = tuple[Answerer, DataConfig, TrainedCalibration]
"""A model's function, and how its files are prepared: the first arguments of `predict_pieces`."""


def predict(
    path: Path,
    files: Sequence[str],
    *,
    say: Callable[[str, tuple[str, ...]], None] = lambda file, words: None,
) -> Iterator[Answer | Quarantined]:
    """Predict files with a run's model or an export.

    Every file passes the same checks as training files: one that the graph would not decode
    correctly is converted first, into a temporary folder. Files are read a few hundred at a
    time, while their answers are consumed.

    Args:
        path: Path of a run or an export.
        files: Paths of the files.
        say: Called with a file and the remarks about it, such as conversions.

    Yields:
        The answer for each file, or the reason why there is none, in the order of the files.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    return predict_pieces(*load_model(path, len(files)), files, say)


def load_model(path: Path, num_files: int) -> LoadedModel:
    """Load the model of a run or an export.

    Args:
        path: Path of a run or an export.
        num_files: Approximate number of files to predict, from which an engine is chosen.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    return _load_asked(path, num_files), read_config(path), read_calibration(path)


def _load_asked(path: Path, num_files: int) -> Answerer:
    """Load the function that answers about examples."""
    if is_export(path):
        exported = ExportedModel(path)
        return lambda examples: exported.answer(examples.ids, examples.inputs)
    trained = load_trained(open_run(path))
    head, decoder = trained.head, frame_decoder(trained.decoder, trained.head)
    predictor = Predictor(
        Forward(trained.model, head.activate),
        num_examples=num_files,
        engine=trained.pipeline.features.engine,
    )

    deviations = read_deviations(head.describe())

    def ask(examples: Examples) -> list[Answer]:
        answers: list[Answer] = []
        with translate_read_errors(examples, decoder):
            for names, inputs in _read_batches(examples, decoder):
                frames = inputs.pop(FRAME, None)
                outputs = predictor(
                    [inputs], num_examples=len(names), progress=lambda done, total: None
                )
                served = head.serve(tf.constant(outputs), frames)
                answers += make_answers(names, served, head.task, deviations)
        return answers

    return ask


def _read_batches(
    examples: Examples, decoder: Decoder
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Read batches of decoded examples with their names, with one graph for all pieces.

    A tf.data dataset for each piece would leave its graph in memory.
    """
    for start in range(0, len(examples), PREDICTION_BATCH_SIZE):
        batch = examples.take(range(start, min(start + PREDICTION_BATCH_SIZE, len(examples))))
        decoded = make_reader(batch, decoder)(tf.range(len(batch)))
        refuse_changed(batch)
        yield batch.ids, to_inputs(decoded)


def predict_pieces(
    ask: Answerer,
    config: DataConfig,
    trained: TrainedCalibration,
    files: Sequence[str],
    say: Callable[[str, tuple[str, ...]], None],
) -> Iterator[Answer | Quarantined]:
    """Predict files with a loaded model; see `predict`."""
    with temporary_copies() as find_folder:
        options = CheckOptions(trained=trained, find_folder=find_folder)
        for start in range(0, len(files), _PIECE):
            piece = tuple(files[start : start + _PIECE])
            paths = tuple(str(Path(file).absolute()) for file in piece)
            examples = Examples(piece, Files(paths), np.zeros(len(piece), np.int64))
            outcomes = check_files(examples, config, options=options)
            checked = [outcome for outcome in outcomes if isinstance(outcome, Checked)]
            for each in checked:
                words = (*(f"converted ({reason})" for reason in each.repaired), *each.noticed)
                if words:
                    say(each.name, words)
            answers = iter(_answer_all(ask, to_examples(checked, np.zeros(len(checked), np.int64))))
            for outcome in outcomes:
                yield outcome if isinstance(outcome, Quarantined) else next(answers)


def _answer_all(ask: Answerer, examples: Examples) -> list[Answer | Quarantined]:
    """Answer each example, or say why there is no answer.

    If a batch fails, because a file was changed or removed since it was checked, its examples are
    answered one by one.
    """
    if not len(examples):
        return []
    try:
        return list(ask(examples))
    except DataError as error:
        if len(examples) == 1:
            [(path, _)] = list_contents(examples)
            return [Quarantined(examples.ids[0], path, _reason_of(error, path))]
        return [
            outcome
            for index in range(len(examples))
            for outcome in _answer_all(ask, examples.take([index]))
        ]


def _reason_of(error: DataError, path: str) -> str:
    """Extract the reason from an error about a single file."""
    return str(error).splitlines()[-1].removeprefix("  - ").removeprefix(f"{path}: ")
