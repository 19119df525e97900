"""Reader of TFRecord files of tf.train.Example records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kft.config import DataConfig
from kft.data.found import MISSING_WORDS, Found
from kft.data.refusing import refuse_bad
from kft.data.sources.record_files import read_records
from kft.data.sources.record_listing import RecordFiles, list_record_files
from kft.data.sources.unpacking import Label, Record, to_found, unpack
from kft.errors import DataError
from kft.examples import Quarantined
from kft.modalities import choose_modality
from kft.printing import listed, readable
from kft.registry import suggest
from kft.tasks import find_task

# After this many records without the feature, its name must be wrong, so reading stops.
_ENOUGH_LACKING = 100


class _BadRecordError(Exception):
    """Reason why a record cannot be used."""


class _LackingError(_BadRecordError):
    """The record has no feature of the name."""


def find_tfrecord(config: DataConfig) -> Found:
    """Find the labelled examples of TFRecord files, unpacked to files.

    Words in the file names give the splits, as in `train-00000-of-00008.tfrecord`.
    `data.records.class_names` names integer labels; otherwise their digits do.

    Raises:
        DataError: There are no files, a feature is missing, labels differ in kind, or
            records cannot be used: all of them, or any if `data.on_invalid_file` is
            `stop`. A record cannot be used if it is damaged, is not a
            tf.train.Example, or lacks an example or a label.
    """
    source = f"TFRecord {config.path}"
    listing = list_record_files(config.path or "")
    modality = choose_modality(config)
    given = config.records.input_feature or modality.record_features["tfrecord"]
    label = config.records.label_feature or modality.record_features["tfrecord_label"]
    refuse_bad(
        listing.quarantined,
        len(listing.files) + len(listing.quarantined),
        on_invalid_file=config.on_invalid_file,
        source=source,
        what="files",
    )
    unpacked = unpack(
        listing.files,
        {"input": given, "label": label, "root": str(listing.root)},
        modality,
        lambda: _read_all(listing, {"input_feature": given, "label_feature": label}, modality.noun),
    )
    found = to_found(
        unpacked,
        class_names=config.records.class_names,
        task=find_task(config.target),
        source=source,
        on_invalid_file=config.on_invalid_file,
    )
    empty = sum(file.stat().st_size == 0 for file in listing.files)
    return replace(
        found,
        ignored={**listing.ignored, **({"TFRecord file without a record": empty} if empty else {})},
        quarantined=listing.quarantined + found.quarantined,
    )


def _read_all(
    listing: RecordFiles, features: Mapping[str, str], noun: str
) -> Iterator[Record | Quarantined]:
    lacking, is_any_whole = 0, False
    for file, split in zip(listing.files, listing.splits, strict=True):
        name = readable(file.relative_to(listing.root).as_posix())
        for position, content in enumerate(_open_records(file)):
            where = f"{name}, record {position}"
            try:
                example, label = _parse(content, features, noun)
                is_any_whole = True
                yield Record(f"{name}#{position:06d}", split, example, label)
            except _BadRecordError as error:
                lacking += isinstance(error, _LackingError)
                if lacking == _ENOUGH_LACKING and not is_any_whole:
                    raise DataError(
                        f"{file}, record {position}: {error}. The same is true of every record "
                        "before it."
                    ) from None
                yield Quarantined(where, readable(str(file)), str(error))


def _open_records(file: Path) -> Iterator[bytes | str]:
    try:
        yield from read_records(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror or error}).") from None


def _parse(content: bytes | str, features: Mapping[str, str], noun: str) -> tuple[bytes, Label]:
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    if isinstance(content, str):
        raise _BadRecordError(content)
    try:
        held = tf.train.Example.FromString(content).features.feature
    except DecodeError:
        raise _BadRecordError("not a tf.train.Example") from None
    for key, name in features.items():
        if name not in held:
            raise _LackingError(
                f"no feature {name!r}. {suggest(name, held)} Choose one with "
                f"data.records.{key}=NAME. Features: {listed(sorted(held), 30) or 'none'}"
            )
    given, label = features.values()
    contents = held[given].bytes_list.value
    if len(contents) != 1:
        raise _BadRecordError(f"feature {given!r} is not one encoded {noun}")
    return contents[0], _read_label(held[label], label)


def _read_label(feature: Any, name: str) -> Label:
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value) if kind else []
    if kind == "bytes_list" and len(values) == 1:
        return _read_name(values[0], name)
    if values and kind in ("float_list", "int64_list"):
        if kind == "int64_list" and len(values) == 1:
            return int(values[0])
        if not all(map(math.isfinite, values)):
            raise _BadRecordError(f"feature {name!r} holds a value that is not a finite number")
        return [float(value) for value in values]
    raise _BadRecordError(
        f"feature {name!r} holds {len(values)} values; expected a class, labels or numbers"
    )


def _read_name(value: bytes, name: str) -> str:
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        raise _BadRecordError(f"feature {name!r} is not UTF-8 text") from None
    if not text.strip() or text in MISSING_WORDS:
        raise _BadRecordError(f"feature {name!r} is {text!r}, which means a missing value")
    return text
