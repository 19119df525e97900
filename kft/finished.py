"""What can be done with a finished run: evaluate, predict, export again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.config import DataConfig, FoldersConfig
from kft.config.section import compose
from kft.config.split_section import SplitConfig
from kft.data import SPLIT_NAMES, Examples, Splits, load_splits, write_quarantine_csv
from kft.data.class_names import find_similar
from kft.data.found import sort_class_names
from kft.data.gate.checking import check_files
from kft.data.gate.conversion import temporary_pictures
from kft.data.gate.depth import KnownDepth
from kft.data.gate.inspection import Checked, to_be_read
from kft.data.input.pipeline import make_dataset
from kft.data.input.pixels import (
    Decoder,
    read_pixels,
    refuse_changed,
    translate_read_errors,
)
from kft.data.splits import Quarantined
from kft.errors import DataError, RunError
from kft.evaluation import Predictor, evaluate
from kft.features import Forward
from kft.runs import RunDirectory, open_run
from kft.runs.layout import read_json
from kft.runs.storage import check_cache, check_folder
from kft.serving import (
    Answer,
    Export,
    ExportedModel,
    answers_from_outputs,
    export_model,
    find_version,
    is_export,
)
from kft.training import Display, Trained, load_trained
from kft.workflow import choose_parity_files, describe_data

# Enough to keep the cores busy, few enough that memory does not grow with the files.
PREDICTION_BATCH_SIZE = 32
# Files that are checked together, by as many threads as there are cores.
_PIECE = 256
_Ask = Callable[[Examples], list[Answer]]


def evaluate_run(
    path: Path, display: Display, *, split: str = "holdout", data: str | None = None
) -> dict[str, Any]:
    """The figures of a finished run on one of its splits, or on other labelled data.

    The holdout was judged when the run ended, and is not judged again: its
    figures are read from the run.

    Raises:
        RunError: There is no finished run at `path`.
        DataError: The run's data changed, or other data has other classes.
        StorageError: The figures on other data could not be written into the run, or the cache
            folder cannot be written; other figures are read all the same.
    """
    run = open_run(path)
    if data is None:
        recorded = run.evaluation(split) / "metrics.json"
        if not recorded.is_file():
            raise DataError(
                f"{path}: this run did not judge its {split} split, or has none. Validation is not "
                "judged where it was learnt from in the end (`strategy.refit`)."
            )
        figures: dict[str, Any] = read_json(recorded)
        return figures
    run.check_writable()
    check_cache()
    trained = load_trained(run)
    with display.track("Checking every picture") as advance:
        splits = load_splits(
            _config_for_other(trained.pipeline.data, data),
            progress=advance,
            output_folders=trained.pipeline.output_folders,
            as_one=True,
            known_depth=KnownDepth(trained.depth),
        )
    for line in describe_data(splits):
        display.stage(line)
    examples = _translate_targets(splits, trained)
    batches = make_dataset(
        examples, trained.decoder, batch_size=trained.pipeline.training.batch_size
    )
    name = Path(data).absolute().name
    folder = run.evaluation(f"other-{name}")
    with (
        translate_read_errors(examples, trained.decoder),
        display.track(f"Evaluation on {name}", len(examples)) as advance,
    ):
        evaluation = evaluate(
            Predictor(
                Forward(trained.model, trained.head.activate),
                num_examples=len(examples),
                engine=trained.pipeline.features.engine,
            ),
            trained.head,
            batches,
            files=examples.ids,
            targets=examples.targets,
            train_targets=_read_train_targets(run),
            folder=folder,
            progress=advance,
        )
    write_quarantine_csv(splits.quarantined, folder / "quarantine.csv")
    return evaluation.figures


def _config_for_other(config: DataConfig, path: str) -> DataConfig:
    """How other data is read: all of it, whatever splits the run's own data had."""
    return config.model_copy(
        update={
            "path": path,
            "source": "auto",
            "folders": FoldersConfig(nested=config.folders.nested),
            "table": config.table.model_copy(update={"split_column": None}),
            "split": SplitConfig(),
            "validation": 0.0,
            "holdout": 0.0,
        }
    )


def _read_train_targets(run: RunDirectory) -> np.ndarray:
    try:
        targets: np.ndarray = np.load(run.train_targets, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RunError(f"{run.train_targets}: cannot be read: {error}") from error
    return targets


def _translate_targets(splits: Splits, trained: Trained) -> Examples:
    """All examples of other data, their classes by the index that the model knows."""
    known = tuple(map(compose, trained.head.class_names))
    if splits.target_kind != trained.head.target_kind:
        raise DataError(
            f"the model answers {trained.head.target_kind!r}, the data holds "
            f"{splits.target_kind!r}; data.target may need to be set."
        )
    unknown = sort_class_names(set(splits.class_names) - set(known))
    if unknown:
        similar = find_similar(unknown, known)
        told = [
            f"{name!r} (does it mean {similar[name]!r}?)" if name in similar else name
            for name in unknown
        ]
        raise DataError(
            f"the data has classes that the model does not know: {', '.join(told)}. "
            f"It knows: {', '.join(known)}."
        )
    index = np.array([known.index(name) for name in splits.class_names])
    examples = splits.join(SPLIT_NAMES)
    if splits.target_kind == "class":
        return replace(examples, targets=index[examples.targets])
    arranged = np.zeros((len(examples), len(known)), examples.targets.dtype)
    arranged[:, index] = examples.targets
    return replace(examples, targets=arranged)


def export_run(path: Path, display: Display, *, directory: str | None = None) -> Export:
    """Export a finished run once more, as the next version.

    Raises:
        RunError: There is no finished run at `path`.
        DataError: The run's data changed since; the parity gate needs them.
        ExportError: The export does not answer as the model does.
        StorageError: The run, the cache or the folder of exports cannot be written.
    """
    run = open_run(path)
    run.check_writable()
    check_cache()
    trained = load_trained(run)
    target = Path(directory or trained.pipeline.export.directory)
    check_folder(target, "--directory")
    with display.track("Checking every picture") as advance:
        splits = load_splits(
            trained.pipeline.data,
            progress=advance,
            output_folders=trained.pipeline.output_folders,
        )
    fingerprint = read_json(run.manifest)["data_fingerprint"]
    if splits.fingerprint != fingerprint:
        raise DataError(
            f"{trained.pipeline.data.path}: these are not the examples of the run (fingerprint "
            f"{splits.fingerprint[:12]}, then {fingerprint[:12]}); the parity gate needs them."
        )
    with run.hold(), display.track("Export and its parity gate"):
        export = export_model(
            trained.model,
            trained.head,
            trained.decoder,
            directory=target,
            name=trained.pipeline.name,
            files=choose_parity_files(splits, trained.pipeline.export.parity_examples),
            card=read_json(run.model_card) | {"run": str(run.path)},
        )
        run.write_status(**{**run.read_status(), "export": str(export.path)})
    return export


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
        files: Paths of pictures.
        say: Told what is worth a word about a file.

    Yields:
        One for each file, in their order.

    Raises:
        RunError: `path` is neither a finished run nor an export.
    """
    ask, config, depth = _load_model(path, len(files))
    return _predict_pieces(ask, config, depth, files, say)


def _load_model(path: Path, num_files: int) -> tuple[_Ask, DataConfig, KnownDepth]:
    """What answers, and how files are made ready for it."""
    if is_export(path):
        exported = ExportedModel(path)
        config, depth = _read_config(path)
        return lambda examples: exported.answer(examples.ids, examples.paths), config, depth
    if not RunDirectory(path).status_file.is_file():
        raise RunError(
            f"{path}: neither a run (`kft runs` lists them) nor an export (a folder that holds "
            "saved_model.pb, or numbered versions)."
        )
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

    return ask, trained.pipeline.data, KnownDepth(trained.depth)


def _read_batches(examples: Examples, decoder: Decoder) -> Iterator[tf.Tensor]:
    """Pixels float32 (batch, height, width, 3), by one graph for all pieces.

    A data set of tf.data for each piece would leave its graph in memory.
    """
    for start in range(0, len(examples), PREDICTION_BATCH_SIZE):
        batch = examples.take(range(start, min(start + PREDICTION_BATCH_SIZE, len(examples))))
        pixels = read_pixels(tf.constant(batch.paths), decoder)
        refuse_changed(batch)
        yield tf.cast(pixels, tf.float32)


def _predict_pieces(
    ask: _Ask,
    config: DataConfig,
    depth: KnownDepth,
    files: Sequence[str],
    say: Callable[[str, tuple[str, ...]], None],
) -> Iterator[Answer | Quarantined]:
    with temporary_pictures() as find_folder:
        for start in range(0, len(files), _PIECE):
            piece = tuple(files[start : start + _PIECE])
            paths = tuple(str(Path(file).absolute()) for file in piece)
            examples = Examples(piece, paths, np.zeros(len(piece), np.int64))
            outcomes = check_files(examples, config, known_depth=depth, find_folder=find_folder)
            checked = [outcome for outcome in outcomes if isinstance(outcome, Checked)]
            for each in checked:
                words = (*(f"converted ({reason})" for reason in each.repaired), *each.noticed)
                if words:
                    say(each.name, words)
            answers = iter(_answer_all(ask, to_be_read(checked, np.zeros(len(checked), np.int64))))
            for outcome in outcomes:
                yield outcome if isinstance(outcome, Quarantined) else next(answers)


def _answer_all(ask: _Ask, examples: Examples) -> list[Answer | Quarantined]:
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


def _read_config(export: Path) -> tuple[DataConfig, KnownDepth]:
    """How the pictures of an export are decoded, as far as it says so."""
    version = find_version(export)
    assert version is not None
    try:
        card = json.loads((version / "assets.extra" / "kft.json").read_text(encoding="utf-8"))
        stated = card["input"]
        depth = stated.get("depth")
        config = DataConfig(
            background=stated["background"], depth=depth if stated.get("depth_is_set") else "auto"
        )
        return config, KnownDepth(depth)
    # Exports of others have no such word.
    except (OSError, ValueError, KeyError, TypeError):
        return DataConfig(), KnownDepth(None)
