"""Evaluation of a finished run, on its own splits or on other labelled data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import DataConfig, FoldersConfig, Pipeline, override_pipeline
from kft.config.split_section import SplitConfig
from kft.data import load_splits, write_quarantine_csv
from kft.data.batches.pipeline import make_dataset
from kft.data.batches.reading import pair_decoder, translate_read_errors
from kft.data.loading import find_source
from kft.data.sources.table_reading import open_table
from kft.display import Display
from kft.errors import ConfigError, DataError, RunError
from kft.evaluation.drift import write_drift
from kft.evaluation.evaluating import Evaluation, evaluate
from kft.evaluation.judgements import describe_judgements, find_overlap, record_again
from kft.evaluation.prediction import Predictor
from kft.examples import Examples
from kft.features import Forward
from kft.modalities import Modality, choose_modality
from kft.provenance import load_run_pipeline
from kft.run_operations.other_data import OtherData
from kft.run_operations.other_targets import translate_targets
from kft.runs import RunDirectory, open_run
from kft.runs.layout import read_json
from kft.runs.storage import check_cache
from kft.tasks.head import Head
from kft.training import Trained, load_trained
from kft.workflow import describe_data

# Settings that describe how other data are read, in addition to the modality's. The others of
# `data` are about training or decoding.
_OF_OTHER_DATA = (
    *("data.source", "data.target", "data.on_invalid_file"),
    *("data.folders", "data.table", "data.records", "data.class_aliases"),
    *("data.boxes", "data.masks"),
    *("data.split.group_column", "data.split.group_pattern"),
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
    other = OtherData(run, trained, pipeline, display)
    try:
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
    except DataError as error:
        told = other.describe_files(data)
        raise DataError(f"{error}\n{told}" if told else str(error)) from error
    _record_overlap(run, pipeline, data, examples, display)
    name = Path(data).absolute().name
    folder = run.evaluation(f"other-{name}")
    evaluation = _judge(run, trained, (examples, config), folder, display)
    write_quarantine_csv(splits.quarantined, folder / "quarantine.csv")
    drift = other.measure(examples)
    if drift is not None:
        write_drift(folder, drift)
        display.stage(str(drift))
    return evaluation.figures


def _record_overlap(
    run: RunDirectory, pipeline: Pipeline, data: str, examples: Examples, display: Display
) -> None:
    """Say which examples the run knows, and record those of its holdout as judged again."""
    overlap = find_overlap(run, pipeline, data, examples)
    if overlap.trained:
        display.stage(
            f"Note: the run was trained on {overlap.trained:,} of these {len(examples):,} "
            "examples; figures on them mean nothing."
        )
    if overlap.held:
        judgements = record_again(run, data, overlap.held)
        display.stage(
            f"Note: {overlap.held:,} of these examples are of the run's holdout, which is now "
            f"judged {describe_judgements(judgements)}."
        )


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
            "split": SplitConfig(group_column=own.split.group_column),
            "validation": 0.0,
            "holdout": 0.0,
        }
    )
    source = find_source(config)
    if source == "table":
        config = config.model_copy(update=_keep_columns(config, Path(path)))
    else:
        config = config.model_copy(update={"split": SplitConfig()})
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


def _keep_columns(config: DataConfig, path: Path) -> dict[str, Any]:
    """Keep the run's columns that the other table has; for the others, use the defaults."""
    header = open_table(path.expanduser().absolute()).header
    own, group = config.table, config.split.group_column
    labels = own.label_columns
    has_labels = any(name in header for name in labels)
    table = own.model_copy(
        update={
            "path_column": own.path_column if own.path_column in header else None,
            # Several label columns are kept even if some are missing, which an error then names.
            "label_columns": labels if has_labels or len(labels) > 1 else (),
        }
    )
    return {
        "table": table,
        "split": SplitConfig(group_column=group if group in header else None),
    }


def _judge(
    run: RunDirectory,
    trained: Trained,
    data: tuple[Examples, DataConfig],
    folder: Path,
    display: Display,
) -> Evaluation:
    examples, config = data
    reader = pair_decoder(trained.decoder, trained.head.task, examples)
    batches = make_dataset(examples, reader, batch_size=trained.pipeline.training.batch_size)
    with (
        translate_read_errors(examples, reader),
        display.track(f"Evaluation on {Path(config.path or '').name}", len(examples)) as advance,
    ):
        return evaluate(
            Predictor(
                Forward(trained.model, trained.head.activate),
                num_examples=len(examples),
                engine=trained.pipeline.features.engine,
            ),
            trained.head,
            batches,
            examples,
            config,
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
