"""Loading of the `data` section of a pipeline into checked `Splits`."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import DataConfig
from kft.data.admission.admit import admit
from kft.data.admission.check_files import compute_fingerprint
from kft.data.class_names import join_classes
from kft.data.found import Found
from kft.data.paths import refuse_remote
from kft.data.refusing import list_bad
from kft.data.sources.mask_folders import has_masks
from kft.data.splitting.split import describe_origin, split_examples
from kft.data.splitting.unjudged import describe_unjudged
from kft.errors import DataError
from kft.examples import Progress, Splits
from kft.modalities import choose_modality
from kft.modalities.checked import TrainedCalibration
from kft.printing import listed
from kft.registry import Registry
from kft.tasks import MASK, find_task

SOURCES = Registry(
    "data source",
    {
        "folder": "kft.data.sources.folder:find_folder",
        "mask_table": "kft.data.sources.mask_tables:find_mask_table",
        "masks": "kft.data.sources.mask_folders:find_masks",
        "table": "kft.data.sources.table:find_table",
        "tfds": "kft.data.sources.tfds:find_tfds",
        "tfrecord": "kft.data.sources.tfrecord:find_tfrecord",
    },
    error=DataError,
)


def load_splits(
    config: DataConfig,
    *,
    progress: Progress | None = None,
    output_folders: Sequence[str] = (),
    decode: bool = True,
    as_one: bool = False,
    trained: TrainedCalibration | None = None,
) -> Splits:
    """Find the examples, check every file, and split the usable ones.

    Args:
        config: The `data` section.
        progress: Called with (files checked, files in all).
        output_folders: Folders that kft will write to, which are not data.
        decode: Whether to decode every file, or only those that look damaged;
            see `CheckOptions`. Set False if the files are decoded soon after anyway.
        as_one: Whether the data are only judged and the section was written for other data. The
            splits of the source are then ignored, so everything is train except for the parts
            that kft takes from it; see also `is_other` of `find_examples`.
        trained: Calibration of the model that will see the examples; None if there is no model
            yet.

    Raises:
        DataError: The data cannot be used as they are; the message names the
            file or key, the allowed values and the remedy.
    """
    config = config.model_copy(update={"modality": choose_modality(config).name})
    found = find_examples(config, output_folders=output_folders, is_other=as_one)
    if as_one:
        found = replace(found, given_splits=None)
    admitted = admit(found, config, progress, decode=decode, trained=trained)
    found = admitted.found
    if not as_one:
        # A class or label may have lost all its examples.
        refuse_unlearnable(found)
    parts = split_examples(found, config, alike=admitted.alike)
    return Splits(
        train=parts["train"],
        validation=parts["validation"],
        holdout=parts["holdout"],
        task=found.task,
        class_names=found.class_names,
        fingerprint=compute_fingerprint(
            found.examples, admitted.digests, found.task, found.class_names
        ),
        origin=describe_origin(found, config, alike=admitted.alike),
        ignored=found.ignored,
        quarantined=found.quarantined,
        repaired=admitted.count_repaired(),
        noticed={**found.noticed, **admitted.count_noticed()},
        notes=(*found.notes, *describe_unjudged(parts, found.task, found.class_names)),
        modality=config.modality,
        calibration=admitted.calibration,
    )


def find_examples(
    config: DataConfig, *, output_folders: Sequence[str] = (), is_other: bool = False
) -> Found:
    """Find the examples of a pipeline's source, without checking the files.

    Args:
        config: The `data` section.
        output_folders: Folders that kft will write to, which are not data.
        is_other: See `join_classes`; data that cannot be learned, such as one class, are
            accepted.

    Raises:
        DataError: There are no data, their layout is unknown, classes are too similar, or the
            data cannot be learned.
    """
    name = find_source(config)
    find = SOURCES.load(name)
    # Only a folder of files may hold kft's output, and only these two sources require a train
    # split, which judging does not need.
    options: dict[str, dict[str, Any]] = {
        "folder": {"output_folders": output_folders, "is_other": is_other},
        "masks": {"output_folders": output_folders},
        "tfds": {"is_other": is_other},
    }
    found: Found = find(config, **options.get(name, {}))
    found = join_classes(found, config, is_other=is_other)
    # What is in files of targets is known once they are checked.
    if not is_other and found.examples.target_files is None:
        refuse_unlearnable(found)
    return found


def refuse_unlearnable(found: Found) -> None:
    """Refuse examples that a model could be judged on, but cannot learn from.

    Raises:
        DataError: There is one class, or a class or label without an example.
    """
    task, names = found.task, found.class_names
    counts = task.count(found.examples.targets, len(names))
    absent = [names[index] for index in np.flatnonzero(counts == 0)]
    if absent:
        where = (
            "data.records.class_names"
            if task.has_classes
            else "the labels (for a table: data.table.label_columns)"
        )
        bad = f"\nLeft out:\n{list_bad(found.quarantined)}" if found.quarantined else ""
        raise DataError(
            f"{found.source}: {task.noun} {listed(absent)} has no example, so it cannot be "
            f"learned. Add some, or remove it from {where}.{bad}"
        )
    if len(names) < task.fewest_names:
        raise DataError(
            f"{found.source}: one {task.noun}, {names[0]!r}; classification needs at least two."
        )


def check_source(config: DataConfig) -> None:
    """Check quickly, without TensorFlow, that there are data.

    Raises:
        DataError: There are no data, their kind is unknown, or a TensorFlow Datasets entry is
            not prepared on this machine.
    """
    if find_source(config) == "tfds":
        from kft.data.sources.tfds import find_prepared

        find_prepared(config.path or "")


def find_source(config: DataConfig) -> str:
    """Return the name of the source, inferred from `data.path` if the pipeline says `auto`.

    Raises:
        DataError: There is no path, nothing exists there, or its kind is unknown.
    """
    if config.path is None:
        raise DataError("data.path: not given. Name a folder, a CSV file or TFRecord files.")
    refuse_remote(config.path)
    if config.source != "auto":
        return config.source
    if config.path.startswith("tfds:"):
        return "tfds"
    path = Path(config.path).expanduser()
    task = find_task(config.target)
    has_mask_files = task is not None and task.companion == MASK
    if path.is_dir():
        if has_mask_files or (task is None and has_masks(path, choose_modality(config))):
            return "masks"
        return _find_source_of(path)
    if path.suffix.lower() in (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson"):
        return "mask_table" if has_mask_files else "table"
    if ".tfrecord" in path.name or glob.has_magic(config.path):
        return "tfrecord"
    if path.exists():
        raise DataError(
            f"data.path: {path} is not a data source. Expected a folder, a .csv, .tsv or .parquet "
            "file, TFRecord files, or tfds:NAME. If the name does not show which, set data.source."
        )
    raise DataError(f"data.path: there is nothing at {path.absolute()}.")


def _find_source_of(folder: Path) -> str:
    from kft.data.sources.tfds import is_prepared

    if is_prepared(folder):
        return "tfds"
    return "tfrecord" if any(folder.glob("*.tfrecord*")) else "folder"
