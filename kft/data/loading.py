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

TABLE_ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
SOURCES = Registry(
    "data source",
    {
        "box_table": "kft.data.sources.box_table:find_box_table",
        **dict.fromkeys(("coco", "voc", "yolo"), "kft.data.sources.boxes:find_boxes"),
        "folder": "kft.data.sources.folder:find_folder",
        "mask_table": "kft.data.sources.mask_tables:find_mask_table",
        "masks": "kft.data.sources.mask_folders:find_masks",
        "outlines": "kft.data.sources.outlines:find_outlines",
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
        notes=(
            *found.notes,
            *_describe_absent(found),
            *describe_unjudged(parts, found.task, found.class_names),
        ),
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
        DataError: There is one class, or a class or label without an example. Masks number their
            classes, so that one of these may be absent.
    """
    task, names = found.task, found.class_names
    absent = _list_absent(found)
    if found.examples.target_files is not None:
        names = tuple(name for name in names if name not in absent)
    elif absent:
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
        has = f"one {task.noun}, {names[0]!r}" if names else f"no {task.noun}"
        least = "one" if task.fewest_names == 1 else "two"
        raise DataError(f"{found.source}: {has}; {task.name} needs at least {least}.")


def _list_absent(found: Found) -> list[str]:
    """List the classes or labels that no example has."""
    counts = found.task.count(found.examples.targets, len(found.class_names))
    return [found.class_names[index] for index in np.flatnonzero(counts == 0)]


def _describe_absent(found: Found) -> tuple[str, ...]:
    """Say which classes no mask shows."""
    absent = [] if found.examples.target_files is None else _list_absent(found)
    return (f"no example shows {listed(absent)}, so it cannot be learned.",) if absent else ()


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
    found = _find_annotated(path, config)
    if found is not None:
        return found
    if path.is_dir():
        return _find_source_of(path)
    if path.suffix.lower() in TABLE_ENDINGS:
        return "table"
    if ".tfrecord" in path.name or glob.has_magic(config.path):
        return "tfrecord"
    if path.exists():
        raise DataError(
            f"data.path: {path} is not a data source. Expected a folder, a .csv, .tsv or .parquet "
            "file, boxes in COCO's .json or YOLO's .yaml, TFRecord files, or tfds:NAME. If the "
            "name does not show which, set data.source."
        )
    raise DataError(f"data.path: there is nothing at {path.absolute()}.")


def _find_annotated(path: Path, config: DataConfig) -> str | None:
    """Return the source of masks or boxes; None for other targets."""
    task, modality = find_task(config.target), choose_modality(config)
    is_table = path.suffix.lower() in TABLE_ENDINGS
    if task is not None and task.companion == MASK:
        names = {".json": "outlines", **dict.fromkeys(TABLE_ENDINGS, "mask_table")}
        return "masks" if path.is_dir() else names.get(path.suffix.lower())
    if task is not None and task.reads_boxes and is_table:
        return "box_table"
    layout = modality.find_layout(path)
    is_masked = layout is None and task is None and path.is_dir() and has_masks(path, modality)
    return "masks" if is_masked else layout


def _find_source_of(folder: Path) -> str:
    from kft.data.sources.tfds import is_prepared

    if is_prepared(folder):
        return "tfds"
    return "tfrecord" if any(folder.glob("*.tfrecord*")) else "folder"
