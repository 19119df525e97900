"""Detection of kft's own output folders, wherever they lie: runs, exports, caches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kft.runs.caches import cache_root, is_tagged

# Files that a run writes first. Two of them in one folder are not there by chance.
_RUN_FILES = ("status.json", "manifest.json", "pipeline.yaml", "splits.csv", ".lock")


def is_own_folder(folder: str) -> bool:
    """Tell whether kft wrote a folder: a run, one version of an export, or a cache.

    The folder's content decides, not its name: a class may have any name, and a run may be in
    any state.
    """
    return _is_run(folder) or _is_export(folder) or _is_cache(folder)


def _is_run(folder: str) -> bool:
    return sum(Path(folder, name).is_file() for name in _RUN_FILES) > 1


def _is_export(folder: str) -> bool:
    card = Path(folder, "assets.extra", "kft.json")
    return card.is_file() and Path(folder, "saved_model.pb").is_file()


def _is_cache(folder: str) -> bool:
    # A cache that another KFT_CACHE_DIR made is recognised by its tag.
    return is_tagged(Path(folder)) or os.path.realpath(folder) == os.path.realpath(cache_root())


def holds_output_folder(folder: str, output_folders: Sequence[str]) -> bool:
    """Tell whether `folder` is, or contains, one of the folders that kft will write to."""
    real = Path(folder).resolve()
    return any(Path(output).resolve().is_relative_to(real) for output in output_folders)
