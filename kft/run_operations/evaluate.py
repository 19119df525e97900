"""Evaluation of a finished run, on its own splits or on other labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import DataConfig, FoldersConfig, Pipeline, TableConfig, override_pipeline
from kft.config.section import compose
from kft.config.split_section import SplitConfig
from kft.data import load_splits, write_quarantine_csv
from kft.data.batches.pipeline import make_dataset
from kft.data.batches.reading import pair_decoder, translate_read_errors
from kft.data.class_names import find_similar
from kft.data.found import sort_class_names
from kft.data.loading import find_source
from kft.data.sources.table_reading import open_table
from kft.display import Display
from kft.errors import ConfigError, DataError, RunError
from kft.evaluation.evaluating import Evaluation, evaluate
from kft.evaluation.prediction import Predictor
from kft.examples import SPLIT_NAMES, Examples, Splits
from kft.features import Forward
from kft.modalities import Modality, choose_modality
from kft.printing import listed
from kft.provenance import load_run_pipeline
from kft.runs import RunDirectory, open_run
from kft.runs.layout import read_json
from kft.runs.storage import check_cache
from kft.tasks import Task
from kft.tasks.head import Head
from kft.training import Trained, load_trained
from kft.workflow import describe_data

# Settings that describe how other data are read, in addition to the modality's. The others of
# `data` are about training or decoding.
_OF_OTHER_DATA = (
    *("data.source", "data.target", "data.on_invalid_file"),
    *("data.folders", "data.table", "data.records", "data.class_aliases"),
    *("data.boxes", "data.masks"),
)


def evaluate_run(
    path: Path,
    display: Display,
    *,
    split: str = "holdout",
    data: str | None = None,
    overrides: Sequence[str] = (),
) -> dict[str, Any]:
    """Read or compute the figures of a finished run, on one of its splits or on other data.

    The holdout was judged when the run ended and is not judged again: its
    figures are read from the run. With other data, all examples are judged;
    the kind of target and the class names are the run's.

    Args:
        path: Path of the run.
        display: Shows the progress.
        split: 'holdout' or 'validation'; ignored with `data`.
        data: Path of other labelled data.
        overrides: Settings `data.KEY=VALUE` for reading other data, if they differ from the run's.

    Raises:
        RunError: There is no finished run at `path`.
        ConfigError: An override sets something that the run decides.
        DataError: Other data cannot be read, or have other classes.
        StorageError: The run or the cache folder is not writable, and `data` is given.
    """
    run = open_run(path)
    if data is None:
        return _read_figures(run, split)
    run.check_writable()
    check_cache()
    trained = load_trained(run)
    pipeline = load_run_pipeline(run)
    own = pipeline.data.model_copy(update={"modality": trained.stated.spec.modality})
    pipeline = pipeline.model_copy(update={"data": own})
    config = configure_other(pipeline, trained.head, data, overrides)
    with display.track("Checking every file") as advance:
        splits = load_splits(
            config,
            progress=advance,
            output_folders=pipeline.output_folders,
            as_one=True,
            trained=trained.stated.trained,
        )
    for line in describe_data(splits):
        display.stage(line)
    examples = translate_targets(splits, trained.head, display)
    name = Path(data).absolute().name
    folder = run.evaluation(f"other-{name}")
    evaluation = _judge(run, trained, examples, folder, display, title=f"Evaluation on {name}")
    write_quarantine_csv(splits.quarantined, folder / "quarantine.csv")
    return evaluation.figures


def _read_figures(run: RunDirectory, split: str) -> dict[str, Any]:
    recorded = run.evaluation(split) / "metrics.json"
    if not recorded.is_file():
        raise DataError(
            f"{run.path}: this run has no {split} split, or did not judge it. Validation is not "
            "judged if the last phase trained on it (`strategy.refit`)."
        )
    figures: dict[str, Any] = read_json(recorded)
    return figures


def configure_other(
    pipeline: Pipeline, head: Head, path: str, overrides: Sequence[str] = ()
) -> DataConfig:
    """Make the `data` section for other data, which reads all examples as one split.

    A table is read by the columns of the run's own table if it has them.

    Args:
        pipeline: The run's pipeline.
        head: The run's head, which decides the kind of target.
        path: Path of the other data.
        overrides: Settings `data.KEY=VALUE`.

    Raises:
        ConfigError: An override sets something that the run decides, or that has no effect here.
        DataError: There is nothing at `path`, or it is not a data source.
    """
    own = pipeline.data
    _refuse_what_has_no_effect(overrides, choose_modality(own))
    config = own.model_copy(
        update={
            "path": path,
            "source": "auto",
            "target": head.task.word,
            "folders": FoldersConfig(
                allowed_roots=own.folders.allowed_roots, nested=own.folders.nested
            ),
            "table": own.table.model_copy(update={"split_column": None}),
            "split": SplitConfig(),
            "validation": 0.0,
            "holdout": 0.0,
        }
    )
    source = find_source(config)
    if source == "table":
        config = config.model_copy(update={"table": _keep_columns(config.table, Path(path))})
    if source == "tfds":
        # The data set names its classes; the run's names might be in another order.
        records = config.records.model_copy(update={"class_names": ()})
        config = config.model_copy(update={"records": records})
    asked = override_pipeline(pipeline.model_copy(update={"data": config}), overrides).data
    if asked.target not in ("auto", head.task.word):
        raise ConfigError(
            f"data.target: {asked.target!r}, but the model of this run answers "
            f"{head.task.word!r}. Remove it: the run decides the kind of target."
        )
    return asked.model_copy(update={"target": head.task.word})


def _refuse_what_has_no_effect(overrides: Sequence[str], modality: Modality) -> None:
    problems = []
    own = f"data.{modality.name}"
    allowed = (*_OF_OTHER_DATA, *(f"{own}.{name}" for name in sorted(modality.reading_settings)))
    for override in overrides:
        key = override.partition("=")[0].strip()
        section = ".".join(key.split(".")[:2])
        if section == own and key not in allowed and key != f"{own}.augmentation":
            problems.append(f"{key}: {modality.nouns} are always decoded as in the run's training")
        elif not {key, section} & {*allowed} or key == "data.table.split_column":
            problems.append(f"{key}: has no effect on judging all examples with a finished run")
    if problems:
        refusal = ConfigError.from_problems("override", problems)
        raise ConfigError(f"{refusal}\nAllowed: {', '.join(allowed)}.")


def _keep_columns(own: TableConfig, path: Path) -> TableConfig:
    """Keep the run's columns that the other table has; for the others, use the defaults."""
    header = open_table(path.expanduser().absolute()).header
    labels = own.label_columns
    has_labels = any(name in header for name in labels)
    return own.model_copy(
        update={
            "path_column": own.path_column if own.path_column in header else None,
            # Several label columns are kept even if some are missing, which an error then names.
            "label_columns": labels if has_labels or len(labels) > 1 else (),
        }
    )


def translate_targets(splits: Splits, head: Head, display: Display) -> Examples:
    """Join all examples of other data, with targets by the model's class indices.

    Raises:
        DataError: The data have another kind of target or an unknown class, label or number;
            or they lack a label or number of the model.
    """
    known = tuple(map(compose, head.class_names))
    task, names = head.task, splits.class_names
    if splits.task != task:
        raise DataError(f"the model answers {task.word!r}, but the data hold {splits.task.word!r}.")
    examples = splits.join(SPLIT_NAMES)
    if not task.is_stratified and len(names) == len(known) == 1 and names != known:
        display.stage(f"Judged: {known[0]!r} of the model against {names[0]!r} of the data")
        names = known
    _refuse_other_names(task, names, known)
    if examples.target_files is not None and names != known:
        raise DataError(
            f"the data number their {task.nouns} {listed(names, 30)}, but the model "
            f"{listed(known, 30)}. Give the masks in the order of the model."
        )
    places = np.array([known.index(name) for name in names])
    return replace(examples, targets=task.rearrange(examples.targets, places, len(known)))


def _refuse_other_names(task: Task, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = sort_class_names(set(names) - set(known))
    if unknown:
        similar = find_similar(unknown, known)
        described = [
            f"{name!r} (did you mean {similar[name]!r}?)" if name in similar else name
            for name in unknown
        ]
        raise DataError(
            f"the data have {task.nouns} that the model does not know: {listed(described)}. "
            f"It knows: {listed(tuple(known), 30)}."
        )
    missing = [name for name in known if name not in names]
    # A class may have no example, but labels and numbers have columns.
    if missing and not task.has_classes and not task.reads_boxes:
        raise DataError(
            f"the data lack {task.nouns} that the model answers: {listed(missing)}. The model "
            "cannot be judged without them; name their columns with data.table.label_columns."
        )


def _judge(
    run: RunDirectory,
    trained: Trained,
    examples: Examples,
    folder: Path,
    display: Display,
    *,
    title: str,
) -> Evaluation:
    reader = pair_decoder(trained.decoder, trained.head.task, examples)
    batches = make_dataset(examples, reader, batch_size=trained.pipeline.training.batch_size)
    with (
        translate_read_errors(examples, reader),
        display.track(title, len(examples)) as advance,
    ):
        return evaluate(
            Predictor(
                Forward(trained.model, trained.head.activate),
                num_examples=len(examples),
                engine=trained.pipeline.features.engine,
            ),
            trained.head,
            batches,
            examples=examples,
            train_targets=_read_train_targets(run),
            folder=folder,
            progress=advance,
            decoder=trained.decoder,
        )


def _read_train_targets(run: RunDirectory) -> np.ndarray:
    try:
        targets: np.ndarray = np.load(run.train_targets, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RunError(f"{run.train_targets}: cannot be read: {error}") from error
    return targets
