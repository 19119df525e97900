"""The pipeline of `kft pretrain`, by what the data are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kft.config import (
    PRETRAINING_OVERRIDES,
    UNLABELLED_OVERRIDES,
    Pipeline,
    is_pipeline_file,
    load_pipeline,
)
from kft.modalities import choose_modality


def load_pretraining(
    source: str,
    overrides: Sequence[str] = (),
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Pipeline:
    """Load the pipeline of pretraining, with its own defaults unless a file is complete.

    Args:
        source: Path of a .yaml file or of data.
        overrides: Settings `key.path=value`.
        settings: Nested sections of Python values.

    Raises:
        ConfigError: See `load_pipeline`.
    """
    given = load_pipeline(source, overrides, settings)
    if is_pipeline_file(source):
        return given
    defaults = UNLABELLED_OVERRIDES if needs_no_labels(given) else PRETRAINING_OVERRIDES
    return load_pipeline(source, [*defaults, *overrides], settings)


def needs_no_labels(pipeline: Pipeline) -> bool:
    """Tell whether pretraining reads no labels: its data are texts."""
    return bool(choose_modality(pipeline.data).value_columns)
