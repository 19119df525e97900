"""Folders in the user's home."""

from __future__ import annotations

import os
from pathlib import Path

from kft.errors import StorageError


def keras_home() -> Path:
    """Folder of Keras's settings and downloads: `KERAS_HOME`, or `.keras` in the user's home.

    Raises:
        StorageError: The user has no known home folder.
    """
    return expand_home(os.environ.get("KERAS_HOME") or "~/.keras", "KERAS_HOME")


def expand_home(path: str, variable: str) -> Path:
    """Expand a leading `~` in a path.

    Args:
        path: Path of a folder.
        variable: Environment variable that can set another folder, for the message.

    Raises:
        StorageError: The user has no known home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise StorageError(
            f"{path}: no such folder: HOME is not set, and the system knows no home of this user. "
            f"Set {variable} to a writable folder, or set HOME."
        ) from None
