"""Folders in the user's home, where there is one."""

from __future__ import annotations

import os
from pathlib import Path

from kft.errors import StorageError


def keras_home() -> Path:
    """`KERAS_HOME`, or `.keras` in the user's home: where Keras keeps what it downloads.

    Raises:
        StorageError: The system knows no home folder of this user.
    """
    return expand_home(os.environ.get("KERAS_HOME") or "~/.keras", "KERAS_HOME")


def expand_home(path: str, variable: str) -> Path:
    """A path that may begin with `~`.

    Args:
        path: Of a folder.
        variable: Of the environment, that names another folder.

    Raises:
        StorageError: The system knows no home folder of this user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise StorageError(
            f"{path}: there is no such folder: HOME is not set, and the system knows no home of "
            f"this user. Set {variable} to a folder that can be written, or HOME."
        ) from None
