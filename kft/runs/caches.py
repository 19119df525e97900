"""Where kft keeps what it can make again: unpacked records, stored features."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """`KFT_CACHE_DIR`, or `kft` in the user's cache folder."""
    given = os.environ.get("KFT_CACHE_DIR")
    if given:
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "kft"


def cache_folder(room: str) -> Path:
    """The cache of one room, such as 'features'; made if it is not there."""
    folder = cache_root() / room
    folder.mkdir(parents=True, exist_ok=True)
    return folder
