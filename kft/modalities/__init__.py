"""Modalities, such as images: file checks, decoders, augmentations and previews of examples.

All other rooms are independent of pixels, tokens and samples. `register_modality` adds a modality
from outside kft.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path

from kft.config import DEFAULT_MODALITY, DataConfig, add_modality_section
from kft.errors import ConfigError
from kft.modalities.base import Modality
from kft.modalities.model_input import Augmentation, Decoder, InputSpec, StatedInput
from kft.registry import Registry, import_from

MODALITIES = Registry(
    "modality",
    {
        "image": "kft.modalities.image.modality:ImageModality",
        "audio": "kft.modalities.audio.modality:AudioModality",
        "text": "kft.modalities.text.modality:TextModality",
        "video": "kft.modalities.video.modality:VideoModality",
    },
)
# Number of files of a folder to try when its modality is inferred.
_FIRST_FILES = 1_000
# Beginning of a table to look for file names in.
_TABLE_BYTES = 65_536

__all__ = [
    "MODALITIES",
    "Augmentation",
    "Decoder",
    "InputSpec",
    "Modality",
    "StatedInput",
    "choose_modality",
    "load_modality",
    "register_modality",
]


def register_modality(name: str, path: str) -> None:
    """Add a modality of your own; adding it again changes nothing.

    >>> kft.register_modality("series", "my_package.series:SeriesModality")

    Args:
        name: Name of the modality, equal to its `Modality.name`.
        path: 'package.module:Class' of the `Modality`.

    Raises:
        ConfigError: Another modality or a setting of `data` has this name, or the class has
            another name.
    """
    if name not in MODALITIES:
        found: type[Modality] = import_from(path)
        if found.name != name:
            raise ConfigError(
                f"modality {name!r}: the name of {path} is {found.name!r}. Register it as such."
            )
        add_modality_section(name, found.settings)
    MODALITIES.add(name, path)


@cache
def load_modality(name: str) -> Modality:
    """Load a modality by name.

    Raises:
        ConfigError: The name is unknown.
    """
    modality: Modality = MODALITIES.load(name)()
    return modality


def choose_modality(config: DataConfig) -> Modality:
    """Choose the modality of a `data` section.

    If `data.modality` is `auto`, it is the modality whose annotations are at `data.path`, or else
    that of at least half of a folder's first files, by their endings: photographs and records often
    come with a readme. Columns of text are of the modality whose examples they can be. Any other
    table names files at its beginning, and most of these decide; or it names none, and has a column
    with a usual name of examples.

    Raises:
        ConfigError: `data.modality` is not the name of a modality.
    """
    if config.modality != "auto":
        return load_modality(config.modality)
    if len(MODALITIES) > 1 and config.path is not None:
        modalities = [load_modality(name) for name in MODALITIES]
        if config.table.text_columns:
            return next(each for each in modalities if each.value_columns)
        path = Path(config.path).expanduser()
        named = [each for each in modalities if each.find_layout(path) is not None]
        if path.is_file():
            named += [each for each in modalities if each.has_ending(config.path)]
        if named:
            return named[0]
        if path.is_file():
            return _choose_by_table(path, modalities)
        files = list(islice(_list_files(path), _FIRST_FILES))
        for each in modalities:
            if files and 2 * sum(map(each.has_ending, files)) >= len(files):
                return each
    return load_modality(DEFAULT_MODALITY)


def _choose_by_table(table: Path, modalities: Sequence[Modality]) -> Modality:
    """Choose the modality of most file names, or else of a column; else the default."""
    try:
        with table.open("rb") as file:
            start = file.read(_TABLE_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return load_modality(DEFAULT_MODALITY)  # reading the source says why
    counts = [sum(map(each.has_ending, _split(start))) for each in modalities]
    if most := max(counts):
        return modalities[counts.index(most)]
    header = start.partition("\n")[0]
    columns = _list_columns(table) if table.suffix.lower() == ".parquet" else _split(header)
    names = {column.strip().lower() for column in columns}
    usual = (each for each in modalities if names.intersection(each.value_columns))
    return next(usual, load_modality(DEFAULT_MODALITY))


def _split(text: str) -> list[str]:
    """Split the lines of a table, or of JSON objects, into cells."""
    return re.split(r"[,;\t\r\n\"]+", text)


def _list_columns(table: Path) -> list[str]:
    """List the columns of a Parquet file; none if it is damaged."""
    import pyarrow.parquet

    try:
        names: list[str] = pyarrow.parquet.read_schema(table).names
    except (OSError, pyarrow.ArrowException):
        return []  # reading the source says why
    return names


def _list_files(folder: Path) -> Iterator[str]:
    for _, _, files in os.walk(folder):
        yield from files
