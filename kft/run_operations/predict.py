"""What a finished run, or an export, answers about files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.config import DataConfig
from kft.data.admission.check_files import check_files
from kft.data.batches.decoded import read_examples, refuse_changed, translate_read_errors
from kft.data.batches.example_cache import to_inputs
from kft.errors import DataError
from kft.evaluation import Predictor
from kft.examples import Examples, Quarantined
from kft.features import Forward
from kft.modalities import Decoder
from kft.modalities.checked import (
    Checked,
    CheckOptions,
    TrainedCalibration,
    temporary_copies,
    to_examples,
)
from kft.run_operations.asked_model import read_calibration, read_config
from kft.runs import open_run
from kft.serving import (
    Answer,
    ExportedModel,
    answers_from_outputs,
    is_export,
)
from kft.training import load_trained

# Enough to keep the cores busy, few enough that memory does not grow with the files.
PREDICTION_BATCH_SIZE = 32
# Files that are checked together, by as many threads as there are cores.
_PIECE = 256
Ask = Callable[[Examples], list[Answer]]
LoadedModel = tuple[Ask, DataConfig, TrainedCalibration]
"""What answers, and how files are made ready for it: the first arguments of `predict_pieces`."""


def predict(
    path: Path,
    files: Sequence[str],
    *,
    say: Callable[[str, tuple[str, ...]], None] = lambda file, words: None,
) -> Iterator[Answer | Quarantined]:
    """The answer of a run's model, or of an export, about each file, or why there is none.

    Every file passes the same gate as those that train a model: what a graph would not decode as
    it is meant is converted first, into a temporary folder. Files are read as their answers are
    asked for, some hundred at a time.

    Args:
        path: Of a run, or of an export.
        files: Paths of the files.
        say: Told what is worth a word about a file.

    Yields:
        One for each file, in their order.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    return predict_pieces(*load_model(path, len(files)), files, say)


def load_model(path: Path, num_files: int) -> LoadedModel:
    """The model of a run, or of an export.

    Args:
        path: Of a run, or of an export.
        num_files: About how many files will be asked about, by which an engine is chosen.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    return _load_asked(path, num_files), read_config(path), read_calibration(path)


def _load_asked(path: Path, num_files: int) -> Ask:
    """What answers."""
    if is_export(path):
        exported = ExportedModel(path)
        return lambda examples: exported.answer(examples.ids, examples.paths)
    trained = load_trained(open_run(path))
    head, decoder = trained.head, trained.decoder
    predictor = Predictor(
        Forward(trained.model, head.activate),
        num_examples=num_files,
        engine=trained.pipeline.features.engine,
    )

    def ask(examples: Examples) -> list[Answer]:
        with translate_read_errors(examples, decoder):
            outputs = predictor(
                _read_batches(examples, decoder),
                num_examples=len(examples),
                progress=lambda done, total: None,
            )
        return answers_from_outputs(examples.ids, outputs, head)

    return ask


def _read_batches(examples: Examples, decoder: Decoder) -> Iterator[Any]:
    """Batches of decoded examples, by one graph for all pieces.

    A data set of tf.data for each piece would leave its graph in memory.
    """
    for start in range(0, len(examples), PREDICTION_BATCH_SIZE):
        batch = examples.take(range(start, min(start + PREDICTION_BATCH_SIZE, len(examples))))
        decoded = read_examples(tf.constant(batch.paths), decoder)
        refuse_changed(batch)
        yield to_inputs(decoded)


def predict_pieces(
    ask: Ask,
    config: DataConfig,
    trained: TrainedCalibration,
    files: Sequence[str],
    say: Callable[[str, tuple[str, ...]], None],
) -> Iterator[Answer | Quarantined]:
    """As `predict`, of a model that is loaded already."""
    with temporary_copies() as find_folder:
        options = CheckOptions(trained=trained, find_folder=find_folder)
        for start in range(0, len(files), _PIECE):
            piece = tuple(files[start : start + _PIECE])
            paths = tuple(str(Path(file).absolute()) for file in piece)
            examples = Examples(piece, paths, np.zeros(len(piece), np.int64))
            outcomes = check_files(examples, config, options=options)
            checked = [outcome for outcome in outcomes if isinstance(outcome, Checked)]
            for each in checked:
                words = (*(f"converted ({reason})" for reason in each.repaired), *each.noticed)
                if words:
                    say(each.name, words)
            answers = iter(_answer_all(ask, to_examples(checked, np.zeros(len(checked), np.int64))))
            for outcome in outcomes:
                yield outcome if isinstance(outcome, Quarantined) else next(answers)


def _answer_all(ask: Ask, examples: Examples) -> list[Answer | Quarantined]:
    """An answer for each, or why there is none: one by one, where a file spoils its batch.

    It was fit to be read a moment ago, and was changed or removed since.
    """
    if not len(examples):
        return []
    try:
        return list(ask(examples))
    except DataError as error:
        if len(examples) == 1:
            return [
                Quarantined(
                    examples.ids[0], examples.paths[0], _reason_of(error, examples.paths[0])
                )
            ]
        return [
            outcome
            for index in range(len(examples))
            for outcome in _answer_all(ask, examples.take([index]))
        ]


def _reason_of(error: DataError, path: str) -> str:
    """What an error says of the only file that it is about."""
    return str(error).splitlines()[-1].removeprefix("  - ").removeprefix(f"{path}: ")
