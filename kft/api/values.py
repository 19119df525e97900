"""Values of Python, such as strings and arrays, as files to predict."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from kft.errors import DataError
from kft.modalities import Modality
from kft.modalities.checked import UnusableError

Value: TypeAlias = Any
"""Example in memory: the content of a file as bytes, or what its modality encodes.

Pictures: uint8 RGB (height, width, 3), a batch of it, or a PIL picture. Texts: a string.
Recordings: a pair (samples, rate).
"""


@contextmanager
def as_files(
    values: Value | Iterable[Value], modality: Modality
) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Give paths, and names for the temporary files among them, while the block runs.

    Values in memory become files, so that they pass the same checks and the same decoder as
    training files.

    Args:
        values: One or several examples; files, folders and patterns stay as they are.
        modality: Modality of the examples. If it is text, a string is a text and a file is given
            as a `Path`.

    Raises:
        DataError: An item is not an example of this modality.
    """
    is_one = isinstance(values, str | bytes | os.PathLike)
    first = None if is_one else encode(values, modality, f"{modality.noun} 0")
    items = [values] if is_one or first is not None else values
    with tempfile.TemporaryDirectory(prefix="kft-values-") as folder:
        files: list[str] = []
        names: dict[str, str] = {}
        for place, item in enumerate(_iterate(items, modality)):
            name = f"{modality.noun} {place}"
            if is_file(item, modality, name):
                files.append(os.fspath(item))
                continue
            contents = first or require_encoded(item, modality, name)
            for number, content in enumerate(contents):
                files.append(str(Path(folder) / f"{len(files)}{find_ending(content, modality)}"))
                Path(files[-1]).write_bytes(content)
                names[files[-1]] = name if len(contents) == 1 else f"{name}, {number}"
        yield files, names


def _iterate(items: Any, modality: Modality) -> Iterator[Any]:
    try:
        return iter(items)
    except TypeError:
        raise DataError(_describe_strange(items, modality, modality.noun)) from None


def is_file(item: Any, modality: Modality, name: str) -> bool:
    """Tell whether an item names a file rather than being an example.

    Raises:
        DataError: A string is a text, but also the name of an existing file.
    """
    if isinstance(item, os.PathLike):
        return True
    if not isinstance(item, str):
        return False
    if not modality.value_columns:
        return True
    if (os.sep in item or modality.has_ending(item)) and os.path.lexists(item):
        raise DataError(
            f"{name}: {item!r} is the path of a file. A string is a text; for the file, give "
            "pathlib.Path(...)."
        )
    return False


def require_encoded(item: Any, modality: Modality, name: str) -> tuple[bytes, ...]:
    """Encode an item as the content of files.

    Raises:
        DataError: The item is not an example of this modality.
    """
    contents = encode(item, modality, name)
    if contents is None:
        raise DataError(_describe_strange(item, modality, name))
    return contents


def encode(item: Any, modality: Modality, name: str) -> tuple[bytes, ...] | None:
    """Encode an item as the content of files; None if it is not an example in memory.

    Raises:
        DataError: The item is nearly an example of this modality.
    """
    if isinstance(item, bytes):
        return (item,)
    try:
        return modality.encode_value(item)
    except UnusableError as error:
        raise DataError(f"{name}: {error}.") from None


def find_ending(content: bytes, modality: Modality) -> str:
    """Find the ending of a file with this content; the usual one if it shows none."""
    return modality.find_ending(content) or modality.endings[0]


def _describe_strange(item: Any, modality: Modality, name: str) -> str:
    return f"{name}: found a {type(item).__name__}. Allowed: {modality.values}."
