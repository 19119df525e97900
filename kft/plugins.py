"""Tasks, modalities and backbones from outside of kft, in this process and in those it starts."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from kft.backbones import BACKBONES, register_backbone
from kft.errors import ConfigError, KftError
from kft.modalities import MODALITIES, register_modality
from kft.task_names import TASKS, register_task

VARIABLE = "KFT_PLUGINS"
_REGISTRIES = {
    "task": (TASKS, register_task),
    "modality": (MODALITIES, register_modality),
    "backbone": (BACKBONES, register_backbone),
}
_ENTRY = re.compile(rf"({'|'.join(_REGISTRIES)})/([^\s=]+)=(\S+)")


def load_plugins() -> None:
    """Register the entries of `KFT_PLUGINS`; doing so again changes nothing.

    An entry is KIND/NAME=PLACE: `task/ordinal=my_package.ordinal:Ordinal`. Spaces separate entries.

    Raises:
        ConfigError: An entry is malformed or refused.
    """
    for entry in os.environ.get(VARIABLE, "").split():
        parts = _ENTRY.fullmatch(entry)
        if parts is None:
            raise ConfigError(
                f"{VARIABLE}: found {entry!r}, expected KIND/NAME=PLACE, such as "
                "task/ordinal=my_package.ordinal:Ordinal. The kinds are "
                f"{', '.join(_REGISTRIES)}; spaces separate entries."
            )
        kind, name, path = parts.groups()
        _, register = _REGISTRIES[kind]
        try:
            register(name, path)
        except KftError as error:
            raise ConfigError(f"{VARIABLE}: {error}") from error


def child_environment() -> dict[str, str]:
    """Environment of a process that imports the same kft and knows everything registered here."""
    entries = [
        f"{kind}/{name}={path}"
        for kind, (registry, _) in _REGISTRIES.items()
        for name, path in registry.added.items()
    ]
    # A place may lie in a folder that only this process has on its path, such as its script's.
    folders = [str(Path(folder).absolute()) for folder in sys.path]
    return {**os.environ, VARIABLE: " ".join(entries), "PYTHONPATH": os.pathsep.join(folders)}
