"""From the `data` section of a pipeline to checked `Splits`."""

from __future__ import annotations

import glob
from dataclasses import replace
from pathlib import Path

from kft.config.schema import DataConfig
from kft.data.found import Found
from kft.data.gate.admitting import admit
from kft.data.gate.checking import compute_fingerprint
from kft.data.gate.depth import KnownDepth
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


def load_splits(
    config: DataConfig,
    *,
    progress: Progress | None = None,
    decode: bool = True,
    as_one: bool = False,
    known_depth: KnownDepth | None = None,
) -> Splits:
    """Find the examples, check every file, and split what can be used.

    Args:
        config: The `data` section.
        progress: Called with (files checked, files in all).
        decode: Whether to decode every file, or only those that look damaged;
            see `check_files`. False where they are decoded soon after anyway.
        as_one: Leave aside what splits the source names: all is train, but for
            what is carved.
        known_depth: Of the model that is to see the pictures; None where it is found over them.

    Raises:
        DataError: The data cannot be used as they are; the message names the
            file or key, what is allowed and what to do.
    """
    found = find_examples(config)
    if as_one:
        found = replace(found, given_splits=None)
    admitted = admit(found, config, progress, decode=decode, known_depth=known_depth)
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
        depth=admitted.depth,
    )


def find_examples(config: DataConfig) -> Found:
    """What the source of a pipeline holds, not yet looked at.

    Raises:
        DataError: There are no data, or they are laid out in no way that is known.
    """
    found: Found = SOURCES.load(find_source(config))(config)
    return found


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
