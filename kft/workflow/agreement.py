"""A check that all workers were given the same settings, data and packages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kft.config import Pipeline
from kft.errors import ConfigError
from kft.provenance import compare, describe_changes, flatten
from kft.runs import package_versions
from kft.workers import Workers

# Settings that may differ between machines.
_OF_ONE_MACHINE = ("training.threads",)


def describe_settings(pipeline: Pipeline) -> dict[str, Any]:
    """List settings and package versions by name, without those that may differ by machine."""
    settings = dict(flatten(pipeline.model_dump(mode="json")))
    versions = {f"version of {name}": found for name, found in package_versions().items()}
    return {name: settings[name] for name in settings.keys() - set(_OF_ONE_MACHINE)} | versions


def require_identical_settings(workers: Workers, own: Mapping[str, Any]) -> None:
    """Raise an error if any worker's settings differ from the chief's.

    Args:
        workers: All processes; each must call this function.
        own: This worker's JSON values by name.

    Raises:
        ConfigError: A worker's values differ from the chief's.
    """
    if workers.count == 1:
        return
    differences = list(compare("", workers.broadcast_from_chief(lambda: own), own))
    counts = workers.gather(np.array([len(differences)], np.int64))[:, 0]
    if differences:
        raise ConfigError(
            f"worker {workers.number} has different settings from the chief, worker 0:\n"
            f"{describe_changes(differences)}\n"
            "Give all workers the same command, data and packages. Settings that `kft benchmark` "
            "chose on one machine can be written into the pipeline."
        )
    if counts.any():
        others = ", ".join(map(str, np.flatnonzero(counts)))
        raise ConfigError(
            f"worker {others} has different settings from this one; its own message names them."
        )
