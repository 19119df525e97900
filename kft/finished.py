"""What a finished run, or an export, answers about pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kft.config import DataConfig
from kft.data import Examples
from kft.data.gate.checking import check_files
from kft.data.gate.inspection import Checked, to_be_read
from kft.data.input.pipeline import make_dataset
from kft.data.input.pixels import translate_read_errors
from kft.data.refusing import list_bad
from kft.data.splits import Quarantined
from kft.errors import DataError, RunError
from kft.evaluation import Predictor
from kft.features import Forward
from kft.runs import RunDirectory, open_run
from kft.serving import (
    Answer,
    answers_from_outputs,
    find_version,
    is_export,
    predict_files,
)
from kft.training import load_trained

# Enough to keep the cores busy, few enough that memory does not grow with the files.
PREDICTION_BATCH_SIZE = 32


def predict(
    path: Path, files: Sequence[str], *, say: Callable[[str], None] | None = None
) -> list[Answer]:
    """The answers of a run's model, or of an export, about picture files.

    Every file passes the same gate as those that train a model: what a graph would not decode as
    it is meant is converted first.

    Args:
        path: Of a run, or of an export.
        files: Paths of pictures.
        say: Told what is worth a word about a file.

    Raises:
        RunError: `path` is neither a finished run nor an export.
        DataError: Files that are missing or no pictures; they are named.
    """
    if is_export(path):
        return predict_files(path, files, paths=_check(files, _read_config(path), say).paths)
    if not RunDirectory(path).status_file.is_file():
        raise RunError(
            f"{path}: neither a run (`kft runs` lists them) nor an export (a folder that holds "
            "saved_model.pb, or numbered versions)."
        )
    trained = load_trained(open_run(path))
    examples = _check(files, trained.pipeline.data, say)
    predictor = Predictor(
        Forward(trained.model, trained.head.activate),
        num_examples=len(files),
        engine=trained.pipeline.features.engine,
    )
    with translate_read_errors(examples, trained.decoder):
        outputs = predictor(
            make_dataset(examples, trained.decoder, batch_size=PREDICTION_BATCH_SIZE),
            num_examples=len(files),
            progress=lambda done, total: None,
        )
    return answers_from_outputs(files, outputs, trained.head.class_names, trained.head.target_kind)


def _check(files: Sequence[str], config: DataConfig, say: Callable[[str], None] | None) -> Examples:
    """The files, or what is to be read in their place.

    Raises:
        DataError: Files that cannot be used, with their reasons.
    """
    paths = tuple(str(Path(file).absolute()) for file in files)
    outcomes = check_files(Examples(tuple(files), paths, np.zeros(len(files), np.int64)), config)
    bad = [outcome for outcome in outcomes if isinstance(outcome, Quarantined)]
    if bad:
        raise DataError(
            f"{len(bad)} of {len(files)} files cannot be used, so nothing was predicted. Mend "
            f"them, or leave them out.\n{list_bad(bad)}"
        )
    checked = [outcome for outcome in outcomes if isinstance(outcome, Checked)]
    for each in checked:
        words = [*(f"converted ({reason})" for reason in each.repaired), *each.noticed]
        if words and say is not None:
            say(f"{each.name}: {'; '.join(words)}")
    return to_be_read(checked, np.zeros(len(files), np.int64))


def _read_config(export: Path) -> DataConfig:
    """How the pictures of an export are decoded, as far as it says so."""
    version = find_version(export)
    assert version is not None
    try:
        card = json.loads((version / "assets.extra" / "kft.json").read_text(encoding="utf-8"))
        return DataConfig(background=card["input"]["background"])
    # Exports of others and of before have no such word.
    except (OSError, ValueError, KeyError, TypeError):
        return DataConfig()
