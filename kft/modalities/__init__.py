"""What an example is: files and whether they can be used, decoder, augmentation, what is shown.

Nothing else in kft knows a pixel, a token or a sample. `register_modality` adds one from outside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
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
        "text": "kft.modalities.text.modality:TextModality",
    },
)
# Files of a folder that are looked at to tell what its examples are.
_FIRST_FILES = 1_000

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
        name: As `Modality.name` says.
        path: 'package.module:Class' of the `Modality`.

    Raises:
        ConfigError: Another modality, or a setting of `data`, has this name; or the class has
            another.
    """
    if name not in MODALITIES:
        found: type[Modality] = import_from(path)
        if found.name != name:
            raise ConfigError(f"modality {name!r}: {path} calls itself {found.name!r}.")
        add_modality_section(name, found.settings)
    MODALITIES.add(name, path)


@cache
def load_modality(name: str) -> Modality:
    """The modality of a name.

    Raises:
        ConfigError: The name is unknown.
    """
    modality: Modality = MODALITIES.load(name)()
    return modality


def choose_modality(config: DataConfig) -> Modality:
    """What the examples of a `data` section are.

    As `data.modality` says. Where that is `auto`, the first file of a folder decides whose ending
    a modality knows.

    Raises:
        ConfigError: `data.modality` names no modality.
    """
    if config.modality != "auto":
        return load_modality(config.modality)
    if len(MODALITIES) > 1 and config.path is not None:
        modalities = [load_modality(name) for name in MODALITIES]
        for name in islice(_list_files(Path(config.path).expanduser()), _FIRST_FILES):
            found = next((each for each in modalities if each.has_ending(name)), None)
            if found is not None:
                return found
    return load_modality(DEFAULT_MODALITY)


def _list_files(folder: Path) -> Iterator[str]:
    for _, _, files in os.walk(folder):
        yield from files
