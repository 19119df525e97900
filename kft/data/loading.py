"""From the `data` section of a pipeline to checked `Splits`."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path

import numpy as np

from kft.config.schema import DataConfig
from kft.data.found import FOLDER_LAYOUT, Found, listed
from kft.data.gate.admitting import admit
from kft.data.gate.checking import compute_fingerprint
from kft.data.refusing import list_bad
from kft.data.splits import Progress, Splits
from kft.data.splitting.split import describe_origin, split_examples
from kft.errors import DataError
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

_NAMED_IN = {
    "class": "data.records.class_names",
    "labels": "data.table.label_columns or data.records.class_names",
}


def load_splits(
    config: DataConfig,
    *,
    progress: Progress | None = None,
    decode: bool = True,
    as_one: bool = False,
) -> Splits:
    """Find the examples, check every file, and split what can be used.

    Args:
        config: The `data` section.
        progress: Called with (files checked, files in all).
        decode: Whether to decode every file, or only those that look damaged;
            see `check_files`. False where they are decoded soon after anyway.
        as_one: The examples are judged, not learned from: leave aside what splits
            the source names, and take what could not be learned, such as one class.

    Raises:
        DataError: The data cannot be used as they are; the message names the
            file or key, what is allowed and what to do.
    """
    found = find_labelled(config)
    if as_one:
        found = replace(found, given_splits=None)
    else:
        refuse_unlearnable(found)
    admitted = admit(found, config, progress, decode=decode)
    found = admitted.found
    parts = split_examples(found, config, alike=admitted.alike)
    return Splits(
        train=parts["train"],
        validation=parts["validation"],
        holdout=parts["holdout"],
        target_kind=found.target_kind,
        class_names=found.class_names,
        fingerprint=compute_fingerprint(
            found.examples, admitted.digests, found.target_kind, found.class_names
        ),
        origin=describe_origin(found, config, alike=admitted.alike),
        ignored=found.ignored,
        quarantined=found.quarantined,
        repaired=admitted.count_repaired(),
        noticed=admitted.count_noticed(),
    )


def find_examples(config: DataConfig) -> Found:
    """What the source of a pipeline holds to learn from, not yet looked at.

    Raises:
        DataError: There are no data, they are laid out in no way that is known, or nothing can
            be learned from them.
    """
    found = find_labelled(config)
    refuse_unlearnable(found)
    return found


def find_labelled(config: DataConfig) -> Found:
    """What the source of a pipeline holds, learnable or not.

    Raises:
        DataError: There are no data, or they are laid out in no way that is known.
    """
    found: Found = SOURCES.load(find_source(config))(config)
    return found


def refuse_unlearnable(found: Found) -> None:
    """Refuse examples that a model could be judged on, but could not learn from.

    Raises:
        DataError: There is one class, or a class or label without an example.
    """
    names, targets = found.class_names, found.examples.targets
    if found.target_kind == "number":
        return
    if found.target_kind == "class":
        counts = np.bincount(targets, minlength=len(names))
    else:
        counts = targets.sum(axis=0)
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent:
        noun = "class" if found.target_kind == "class" else "label"
        bad = f"\nLeft out:\n{list_bad(found.quarantined)}" if found.quarantined else ""
        raise DataError(
            f"{found.source}: {noun} {listed(absent)} has no example, so it cannot be learned. "
            f"Add some, or take it out of {_NAMED_IN[found.target_kind]}.{bad}"
        )
    if found.target_kind == "class" and len(names) < 2:
        layout = f" {FOLDER_LAYOUT}." if found.source.startswith("folder ") else ""
        raise DataError(
            f"{found.source} has one class, {names[0]!r}; telling classes apart needs at least "
            f"two.{layout}"
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
    if config.source != "auto":
        return config.source
    if config.path.startswith("tfds:"):
        return "tfds"
    path = Path(config.path).expanduser()
    if path.is_dir():
        if not any(path.glob("*.tfrecord*")):
            return "folder"
        return "tfds" if (path / "dataset_info.json").is_file() else "tfrecord"
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
