"""From the `data` section of a pipeline to checked `Splits`."""

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
from kft.data.splitting.split import describe_origin, split_examples
from kft.data.splitting.unjudged import describe_unjudged
from kft.errors import DataError
from kft.examples import Progress, Splits
from kft.modalities import choose_modality
from kft.modalities.checked import TrainedCalibration
from kft.printing import listed
from kft.registry import Registry

SOURCES = Registry(
    "data source",
    {
        "folder": "kft.data.sources.folder:find_folder",
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
    """Find the examples, check every file, and split what can be used.

    Args:
        config: The `data` section.
        progress: Called with (files checked, files in all).
        output_folders: Folders that kft is to write to, which are no data.
        decode: Whether to decode every file, or only those that look damaged;
            see `CheckOptions`. False where they are decoded soon after anyway.
        as_one: The data are others than those that the section was written for, and are judged,
            not learned from: leave aside what splits the source names, so that all is train but
            for what is carved, and see `is_other` of `find_examples`.
        trained: What the model that is to see the examples knows; None where there is none yet.

    Raises:
        DataError: The data cannot be used as they are; the message names the
            file or key, what is allowed and what to do.
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
    """What the source of a pipeline holds, not yet looked at.

    Args:
        config: The `data` section.
        output_folders: Folders that kft is to write to, which are no data.
        is_other: See `join_classes`; what could not be learned, such as one class, is taken.

    Raises:
        DataError: There are no data, they are laid out in no way that is known, labels may be
            taken for one another, or nothing can be learned from them.
    """
    name = find_source(config)
    find = SOURCES.load(name)
    # Only a folder of files may hold what kft writes, and only these two name splits that
    # somebody who judges need not have.
    options: dict[str, dict[str, Any]] = {
        "folder": {"output_folders": output_folders, "is_other": is_other},
        "tfds": {"is_other": is_other},
    }
    found: Found = find(config, **options.get(name, {}))
    found = join_classes(found, config, is_other=is_other)
    if not is_other:
        refuse_unlearnable(found)
    return found


def refuse_unlearnable(found: Found) -> None:
    """Refuse examples that a model could be judged on, but could not learn from.

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
            f"{found.source}: one {task.noun}, {names[0]!r}; telling {task.nouns} apart needs at "
            "least two."
        )


def check_source(config: DataConfig) -> None:
    """Look whether there are data at all, in an instant and without TensorFlow.

    Raises:
        DataError: Nothing is there, it is of no known kind, or a TensorFlow Datasets entry is not
            prepared on this machine.
    """
    if find_source(config) == "tfds":
        from kft.data.sources.tfds import find_prepared

        find_prepared(config.path or "")


def find_source(config: DataConfig) -> str:
    """The name of the source, looking at `data.path` where the pipeline says `auto`.

    Raises:
        DataError: There is no path, nothing is there, or it is of no known kind.
    """
    if config.path is None:
        raise DataError("data.path: not given. Name a folder, a CSV file or TFRecord files.")
    refuse_remote(config.path)
    if config.source != "auto":
        return config.source
    if config.path.startswith("tfds:"):
        return "tfds"
    path = Path(config.path).expanduser()
    if path.is_dir():
        return _find_source_of(path)
    if path.suffix.lower() in (".csv", ".tsv", ".parquet"):
        return "table"
    if ".tfrecord" in path.name or glob.has_magic(config.path):
        return "tfrecord"
    if path.exists():
        raise DataError(
            f"data.path: {path} is no data source. Expected a folder, a .csv, .tsv or .parquet "
            "file, TFRecord files, or tfds:NAME; data.source says which, where the name does not."
        )
    raise DataError(f"data.path: there is nothing at {path.absolute()}.")


def _find_source_of(folder: Path) -> str:
    from kft.data.sources.tfds import is_prepared

    if is_prepared(folder):
        return "tfds"
    return "tfrecord" if any(folder.glob("*.tfrecord*")) else "folder"
