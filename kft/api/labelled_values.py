"""Labelled examples in memory, kept as a table in the cache, for training and evaluation."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeGuard

from kft.api.values import find_ending, is_file, require_encoded
from kft.errors import ConfigError, DataError
from kft.examples import SPLIT_NAMES
from kft.modalities import MODALITIES, Modality, load_modality
from kft.modalities.checked import UnusableError
from kft.printing import listed
from kft.runs.atomic import atomic_directory
from kft.runs.caches import cache_folder

ROOM = "values"
_TEXT, _PATH, _SPLIT, _LABEL = "text", "path", "split", "label"
_EXPECTED = (
    "Expected a pair (examples, targets) of equal length, or a mapping of train, validation and "
    "holdout to such pairs"
)
LabelledValues: TypeAlias = tuple[Any, Any] | Mapping[str, tuple[Any, Any]] | Sequence[str]
"""Pair (examples, targets), a mapping of splits to such pairs, or texts; see `store_values`."""
_FOLDER_FILES = 1_000
# None and NaN are missing values, by which the table leaves an example out.
_TARGET = (str, bool, int, float, type(None))


class StoredValues(NamedTuple):
    """Values that were written into the cache.

    Attributes:
        name: Name of the data, the same for equal values.
        path: Path of the table.
        data: Keys of the section `data` with which it is read.
    """

    name: str
    path: str
    data: dict[str, Any]


def is_path(source: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Tell whether a source is the path of data rather than labelled values."""
    return isinstance(source, str | os.PathLike)


def store_values(source: Any, data: Mapping[str, Any]) -> StoredValues:
    """Write labelled values as a table, with a file for each example that is not a text.

    The folder has the digest of all values as its name: equal values are the same data, whose
    run can be resumed, also by calling again after the cache was cleared.

    Args:
        source: Pair (examples, targets), or a mapping of splits to such pairs. Targets are class
            names or numbers, an array (examples, labels), or a mapping of labels to values. Or
            texts alone, for pretraining.
        data: Section `data` of the call.

    Raises:
        ConfigError: The section describes a table or folder.
        DataError: Examples and targets differ in number, or are of an unknown kind.
    """
    given = listed(sorted({"path", "source", "folders", "table", "records"} & set(data)))
    if given:
        raise ConfigError(f"data: {given} does not apply to examples in memory. Remove it.")
    if _are_texts(source):
        return _store([{_TEXT: text} for text in source], {}, load_modality("text"))
    splits: Mapping[str | None, Any] = source if isinstance(source, Mapping) else {None: source}
    if not splits or (isinstance(source, Mapping) and not {*splits} <= {*SPLIT_NAMES}):
        raise DataError(f"found a mapping of {listed(list(map(repr, splits)))}. {_EXPECTED}.")
    parts = [(split, *_take_apart(pair)) for split, pair in splits.items()]
    modality = _find_modality(data.get("modality", "auto"), next(iter(parts[0][1]), None))
    rows: list[dict[str, Any]] = []
    contents: dict[str, bytes] = {}
    for split, examples, targets in parts:
        for example, labels in zip(examples, _read_targets(targets, len(examples)), strict=True):
            own = {} if split is None else {_SPLIT: split}
            shown = _write_example(example, modality, len(rows), contents)
            rows.append({**shown, **labels, **own})
    return _store(rows, contents, modality)


def _are_texts(source: Any) -> bool:
    """Tell whether a source is texts without labels, for pretraining."""
    if isinstance(source, Mapping) or not hasattr(source, "__len__"):
        return False
    return bool(len(source)) and all(isinstance(each, str) for each in source)


def _take_apart(pair: Any) -> tuple[Sequence[Any], Any]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"found a {type(pair).__name__}. {_EXPECTED}.")
    examples, targets = pair
    if isinstance(examples, str | bytes | os.PathLike) or not hasattr(examples, "__iter__"):
        raise DataError(f"found examples of type {type(examples).__name__}. {_EXPECTED}.")
    examples = list(examples)
    if not examples:
        raise DataError(f"found no examples. {_EXPECTED}.")
    return examples, targets


def _find_modality(name: str, first: Any) -> Modality:
    """Find the modality by its name, or by the first example.

    Raises:
        DataError: The example is of no modality.
    """
    if name != "auto":
        return load_modality(name)
    kinds = [load_modality(each) for each in MODALITIES]
    found = next((kind for kind in kinds if _may_hold(kind, first)), None)
    if found is None:
        allowed = "; ".join(f"{kind.nouns}: {kind.values}" for kind in kinds)
        raise DataError(
            f"example 0: found a {type(first).__name__}. Allowed: {allowed}. For bytes, set "
            "data.modality."
        )
    return found


def _may_hold(modality: Modality, example: Any) -> bool:
    if isinstance(example, os.PathLike):
        return modality.has_ending(os.fspath(example))
    if isinstance(example, str):
        return bool(modality.value_columns)
    try:
        return modality.encode_value(example) is not None
    except UnusableError:
        return False


def _write_example(
    example: Any, modality: Modality, place: int, contents: dict[str, bytes]
) -> dict[str, str]:
    """Write an example as a cell of the table, and as a file in `contents` if it is no text."""
    name = f"example {place}"
    if is_file(example, modality, name):
        if modality.value_columns:
            example = _read(Path(example), name)
        else:
            return {_PATH: str(Path(example).expanduser().absolute())}
    encoded = require_encoded(example, modality, name)
    if len(encoded) != 1:
        raise DataError(f"{name}: found {len(encoded)} {modality.nouns} with one target.")
    if modality.value_columns:
        try:
            return {_TEXT: encoded[0].decode("utf-8", "surrogatepass")}
        except UnicodeDecodeError as error:
            raise DataError(f"{name}: not UTF-8: {error.reason} at byte {error.start}.") from None
    file = f"{place // _FOLDER_FILES:03d}/{place:06d}{find_ending(encoded[0], modality)}"
    contents[file] = encoded[0]
    return {_PATH: file}


def _read(path: Path, name: str) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise DataError(f"{name}: {path} cannot be read: {error.strerror}.") from None


def _read_targets(targets: Any, count: int) -> Iterator[dict[str, Any]]:
    """Read the targets of each example, by the name of their column.

    Raises:
        DataError: They differ in number from the examples, or have names that are taken.
    """
    if isinstance(targets, Mapping):
        columns = {str(name): _to_list(values) for name, values in targets.items()}
    else:
        values = _to_list(targets)
        is_nested = bool(values) and isinstance(values[0], list | tuple)
        rows = values if is_nested else [[value] for value in values]
        if len({len(row) for row in rows}) > 1:
            raise DataError("targets: rows differ in length; give an array (examples, labels).")
        names = [f"{_LABEL}_{i}" for i in range(len(rows[0]))] if is_nested else [_LABEL]
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)) if rows else {}
    lengths = {len(values) for values in columns.values()} or {0}
    if lengths != {count}:
        raise DataError(f"{count:,} examples but {max(lengths):,} targets. {_EXPECTED}.")
    taken = sorted({_TEXT, _PATH, _SPLIT} & set(columns))
    if taken:
        raise DataError(f"targets: the name {listed(taken)} is taken. Choose another.")
    strange = next((v for v in chain(*columns.values()) if not isinstance(v, _TARGET)), None)
    if strange is not None:
        raise DataError(
            f"targets: found a {type(strange).__name__}. Allowed: strings, numbers and booleans."
        )
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _to_list(values: Any) -> list[Any]:
    """Convert to Python values; arrays of NumPy and columns of pandas without importing these."""
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise DataError(f"found targets of type {type(values).__name__}. {_EXPECTED}.")
    plain = values.tolist() if hasattr(values, "tolist") else list(values)
    return [value.tolist() if hasattr(value, "tolist") else value for value in plain]


def _store(
    rows: Sequence[Mapping[str, Any]], contents: Mapping[str, bytes], modality: Modality
) -> StoredValues:
    table = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
    digest = hashlib.sha256(f"{modality.name}\n".encode() + table)
    for content in contents.values():
        digest.update(hashlib.sha256(content).digest())
    key = digest.hexdigest()[:32]
    name = f"values-{key[:8]}"
    folder = cache_folder(ROOM) / key
    if not folder.is_dir():
        try:
            with atomic_directory(folder) as partial:
                for file, content in contents.items():
                    (partial / file).parent.mkdir(exist_ok=True)
                    (partial / file).write_bytes(content)
                (partial / f"{name}.jsonl").write_bytes(table)
        except FileExistsError:
            pass  # another process has written the same values
    labels = [column for column in rows[0] if column not in (_TEXT, _PATH, _SPLIT)]
    settings: dict[str, Any] = {"label_columns": labels}
    if modality.value_columns:
        settings["text_columns"] = [_TEXT]
    else:
        # The caller named these files, wherever they are.
        settings |= {"path_column": _PATH, "allowed_roots": ["/"]}
    if _SPLIT in rows[0]:
        settings["split_column"] = _SPLIT
    data = {"modality": modality.name, "source": "table", "table": settings}
    return StoredValues(name, str(folder / f"{name}.jsonl"), data)
