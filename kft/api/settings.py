"""Conversion of keyword arguments to a `Pipeline`, with the same errors as the command line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypedDict

from kft.api.labelled_values import LabelledValues, is_path, store_values
from kft.config import Pipeline, load_pipeline

Section: TypeAlias = Mapping[str, Any]
Source: TypeAlias = str | os.PathLike[str] | LabelledValues
"""Path of data or of a pipeline file, or labelled examples in memory."""


class Settings(TypedDict, total=False):
    """Sections of the pipeline, by keyword; `docs/guide.md` has their keys.

    Values may also be NumPy values, paths and tuples.
    """

    name: str
    """Name of the runs and of the export; by default from the data folder or pipeline file."""
    data: Section
    backbone: str | os.PathLike[str] | Section
    """A section, or only the backbone's name."""
    head: Section
    features: Section
    strategy: str | Section
    """A section, or only the strategy's name."""
    training: Section
    export: Section
    runs_directory: str | os.PathLike[str]


def make_pipeline(
    source: Source | None, settings: Settings, load: Callable[..., Pipeline] = load_pipeline
) -> Pipeline:
    """Make the pipeline of a file or of data, with the settings of a call.

    Args:
        source: Path of a .yaml file or of data, or labelled examples in memory.
        settings: Settings that differ from the file or the defaults.
        load: Function from a path, overrides and nested settings to the pipeline.

    Raises:
        ConfigError: Lists every refused value with its path.
        DataError: Examples in memory are not usable.
    """
    given = {name: _plain(value) for name, value in settings.items()}
    for section in ("backbone", "strategy"):
        if isinstance(given.get(section), str):
            given[section] = {"name": given[section]}
    if source is None or is_path(source):
        return load(None if source is None else os.fspath(source), settings=given)
    stored = store_values(source, given.get("data", {}))
    given = {"name": stored.name, **given, "data": {**given.get("data", {}), **stored.data}}
    return load(stored.path, settings=given)


def _plain(value: Any) -> Any:
    """Convert a Python value to plain values that YAML can hold."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    # Numbers and arrays of NumPy, without importing it.
    return value.tolist() if hasattr(value, "tolist") else value
