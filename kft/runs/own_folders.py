"""Folders that kft itself fills, wherever they lie: runs, exports, caches."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from kft.runs.caches import cache_root, is_tagged

# What a run begins with, in any order; two of them are no accident.
_RUN_FILES = ("status.json", "manifest.json", "pipeline.yaml", "splits.csv", ".lock")


def is_own_folder(folder: str) -> bool:
    """Whether kft filled a folder: a run, one version of an export, or a cache.

    It is told by what the folder holds, so that a class may have any name, and a run be in
    any state.
    """
    return _is_run(folder) or _is_export(folder) or _is_cache(folder)


def _is_run(folder: str) -> bool:
    return sum(Path(folder, name).is_file() for name in _RUN_FILES) > 1


def _is_export(folder: str) -> bool:
    card = Path(folder, "assets.extra", "kft.json")
    return card.is_file() and Path(folder, "saved_model.pb").is_file()


def _is_cache(folder: str) -> bool:
    # The cache of another process has the tag.
    return is_tagged(Path(folder)) or os.path.realpath(folder) == os.path.realpath(cache_root())


def holds_output_folder(folder: str, output_folders: Sequence[str]) -> bool:
    """Whether one of the folders that kft is to write to is this one, or lies in it."""
    real = Path(folder).resolve()
    return any(Path(output).resolve().is_relative_to(real) for output in output_folders)
