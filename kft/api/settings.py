"""Keyword arguments -> the same `Pipeline` that a command reads, refused by the same messages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

from kft.config import Pipeline, load_pipeline

Section: TypeAlias = Mapping[str, Any]


class Settings(TypedDict, total=False):
    """Sections of the pipeline, by keyword; `docs/guide.md` has their keys.

    Values may be those of NumPy, paths and tuples.
    """

    name: str
    """Of the runs and of the export; by default that of the data folder or pipeline file."""
    data: Section
    backbone: str | os.PathLike[str] | Section
    """A section, or the name alone."""
    head: Section
    features: Section
    strategy: str | Section
    """A section, or the name alone."""
    training: Section
    export: Section
    runs_directory: str | os.PathLike[str]


def make_pipeline(
    source: str | os.PathLike[str] | None, settings: Settings, defaults: Sequence[str] = ()
) -> Pipeline:
    """The pipeline of a file or of data, with the settings of a call.

    Args:
        source: A .yaml file, or where the data are.
        settings: What is otherwise than in the file, or than by default.
        defaults: Overrides that the settings may override again.

    Raises:
        ConfigError: Lists every refused value with its path.
    """
    given = {name: _plain(value) for name, value in settings.items()}
    for section in ("backbone", "strategy"):
        if isinstance(given.get(section), str):
            given[section] = {"name": given[section]}
    return load_pipeline(None if source is None else os.fspath(source), defaults, given)


def _plain(value: Any) -> Any:
    """A value of Python as YAML would hold it."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    # NumPy's numbers and arrays, without importing it.
    return value.tolist() if hasattr(value, "tolist") else value
