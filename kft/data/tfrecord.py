"""TFRecord files of tf.train.Example records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kft.config.schema import DataConfig
from kft.data.found import Found, find_split, listed
from kft.data.splits import SplitName
from kft.data.unpacking import Label, Record, to_found, unpack
from kft.errors import DataError
from kft.registry import suggest

_IMAGE_FEATURE = "image/encoded"
_LABEL_FEATURE = "image/class/label"


def find_tfrecord(config: DataConfig) -> Found:
    """The labelled pictures of TFRecord files, unpacked to files.

    Splits are read from words in the files' names, such as
    `train-00000-of-00008.tfrecord`. Integer labels are named by
    `data.records.class_names`, or else by their digits.

    Raises:
        DataError: No files, a damaged file, a missing feature, or labels that
            do not fit each other.
    """
    root, files = _list_files(config.path or "")
    splits = _read_splits(root, files)
    image = config.records.image_feature or _IMAGE_FEATURE
    label = config.records.label_feature or _LABEL_FEATURE
    unpacked = unpack(
        files,
        {"image": image, "label": label, "root": str(root)},
        lambda: _read_records(root, files, splits, (image, label)),
    )
    return to_found(
        unpacked,
        class_names=config.records.class_names,
        target=config.target,
        source=f"TFRecord {config.path}",
    )


def _list_files(path: str) -> tuple[Path, list[Path]]:
    """The folder that ids are relative to, and the record files in order."""
    given = Path(path).expanduser().absolute()
    if given.is_dir():
        root, files = given, sorted(p for p in given.rglob("*.tfrecord*") if p.is_file())
    elif given.is_file():
        root, files = given.parent, [given]
    else:
        pattern = given.relative_to(given.anchor).as_posix()
        files = sorted(p for p in Path(given.anchor).glob(pattern) if p.is_file())
        root = files[0].parent if files else given.parent
        root = root if all(p.is_relative_to(root) for p in files) else Path(root.anchor)
    if not files:
        raise DataError(
            f"data.path: no TFRecord file at {given}. Expected a folder that holds *.tfrecord "
            "files, or a glob that matches some."
        )
    return root, files


def _read_splits(root: Path, files: list[Path]) -> list[SplitName | None]:
    """The split that each file's name says; for all or for none."""
    splits: list[SplitName | None] = []
    for file in files:
        words = re.split(r"[^A-Za-z]+", file.relative_to(root).as_posix())
        named = {split for split in map(find_split, words) if split is not None}
        if len(named) > 1:
            raise DataError(f"{file}: its name says {' and '.join(sorted(named))}; rename it.")
        splits.append(named.pop() if named else None)
    unnamed = [str(f) for f, split in zip(files, splits, strict=True) if split is None]
    if unnamed and len(unnamed) < len(files):
        raise DataError(
            f"{root}: some files name their split and others do not: {listed(unnamed, 5)}. "
            "Rename them, or give a glob that leaves them out."
        )
    return splits


def _read_records(
    root: Path, files: list[Path], splits: list[SplitName | None], features: tuple[str, str]
) -> Iterator[Record]:
    import tensorflow as tf

    for file, split in zip(files, splits, strict=True):
        compression = "GZIP" if file.suffix.lower() in (".gz", ".gzip") else ""
        records = tf.data.TFRecordDataset(str(file), compression_type=compression)
        position = 0
        try:
            for position, serialized in enumerate(records.as_numpy_iterator()):
                where = f"{file}, record {position}"
                image, label = _parse(serialized, features, where)
                name = f"{file.relative_to(root).as_posix()}#{position:06d}"
                yield Record(name, split, image, label)
        except tf.errors.DataLossError as error:
            raise DataError(
                f"{file}: damaged after {position} records ({error.message.splitlines()[0]}). "
                "Copy or write it again; compressed files need the ending .gz."
            ) from None


def _parse(serialized: bytes, features: tuple[str, str], where: str) -> tuple[bytes, Label]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        held = tf.train.Example.FromString(serialized).features.feature
    except DecodeError:
        raise DataError(f"{where}: not a tf.train.Example.") from None
    for key, name in zip(("image_feature", "label_feature"), features, strict=True):
        if name not in held:
            raise DataError(
                f"{where}: no feature {name!r}. {suggest(name, held)} Say which with "
                f"data.records.{key}=NAME. Features: {listed(sorted(held), 30)}."
            )
    image = held[features[0]].bytes_list.value
    if len(image) != 1:
        raise DataError(f"{where}: feature {features[0]!r} is not one encoded picture.")
    return image[0], _read_label(held[features[1]], f"{where}: feature {features[1]!r}")


def _read_label(feature: Any, where: str) -> Label:
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    if kind == "float_list" and values:
        return [float(value) for value in values]
    if len(values) == 1:
        return values[0].decode("utf-8") if kind == "bytes_list" else int(values[0])
    if kind == "int64_list" and values:
        return [float(value) for value in values]
    raise DataError(f"{where} holds {len(values)} values; expected a class, labels or numbers.")
