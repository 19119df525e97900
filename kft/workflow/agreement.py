"""Whether all workers are about to do the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kft.config import Pipeline
from kft.errors import ConfigError
from kft.provenance import compare, describe_changes, flatten
from kft.runs import package_versions
from kft.workers import Workers

# Settings that may differ from machine to machine.
_OF_ONE_MACHINE = ("training.threads",)


def describe_settings(pipeline: Pipeline) -> dict[str, Any]:
    """Settings and versions by name, without those that may differ from machine to machine."""
    settings = dict(flatten(pipeline.model_dump(mode="json")))
    versions = {f"version of {name}": found for name, found in package_versions().items()}
    return {name: settings[name] for name in settings.keys() - set(_OF_ONE_MACHINE)} | versions


def require_identical_settings(workers: Workers, own: Mapping[str, Any]) -> None:
    """Refuse to go on where a worker is about to do something else than the chief.

    Args:
        workers: Each calls this.
        own: JSON values by name, of this one.

    Raises:
        ConfigError: One has other values than the chief.
    """
    if workers.count == 1:
        return
    differences = list(compare("", workers.broadcast_from_chief(lambda: own), own))
    counts = workers.gather(np.array([len(differences)], np.int64))[:, 0]
    if differences:
        raise ConfigError(
            f"worker {workers.number} has different settings from the chief, worker 0:\n"
            f"{describe_changes(differences)}\n"
            "Give all workers the same command, data and packages. What `kft benchmark` chose for "
            "a machine can be written into the pipeline."
        )
    if counts.any():
        others = ", ".join(map(str, np.flatnonzero(counts)))
        raise ConfigError(
            f"worker {others} has different settings from this one; its own message names them."
        )
