"""What the result of a run depends on, and whether all workers agree on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.config import Pipeline
from kft.errors import ConfigError
from kft.optimization import count_replicas
from kft.provenance import compare, describe_changes, flatten
from kft.runs import make_manifest, package_versions
from kft.workers import Workers

if TYPE_CHECKING:
    from kft.workflow.plan import Plan

# Settings that may differ from machine to machine.
_OF_ONE_MACHINE = ("training.threads",)


def describe_causes(plan: Plan) -> dict[str, Any]:
    """The manifest of a run of this plan: what its result depends on."""
    backbone = plan.assembled.backbone
    training = plan.pipeline.training
    return make_manifest(
        seed=training.seed,
        deterministic=training.deterministic,
        fingerprint=plan.splits.fingerprint,
        calibration=None if plan.splits.calibration is None else asdict(plan.splits.calibration),
        weights_sha256=backbone.sha256,
        backbone_source=backbone.source,
        backbone_licence=backbone.licence,
        workers=plan.workers.count,
        replicas=count_replicas(plan.distribution),
    )


def describe_settings(pipeline: Pipeline) -> dict[str, Any]:
    """Settings and versions by name, without those that may differ from machine to machine."""
    settings = dict(flatten(pipeline.model_dump(mode="json")))
    versions = {f"version of {name}": found for name, found in package_versions().items()}
    return {name: settings[name] for name in settings.keys() - set(_OF_ONE_MACHINE)} | versions


def check_of_one_mind(workers: Workers, own: Mapping[str, Any]) -> None:
    """That all workers are about to do the same.

    Args:
        workers: Each calls this.
        own: JSON values by name, of this one.

    Raises:
        ConfigError: One has other values than the chief.
    """
    if workers.count == 1:
        return
    differences = list(compare("", workers.ask_chief(lambda: own), own))
    counts = workers.gather(np.array([len(differences)], np.int64))[:, 0]
    if differences:
        raise ConfigError(
            f"worker {workers.number} is not about to do what the chief, worker 0, is:\n"
            f"{describe_changes(differences)}\n"
            "Give all workers the same command, data and packages. What `kft benchmark` chose for "
            "a machine can be written into the pipeline."
        )
    if counts.any():
        others = ", ".join(map(str, np.flatnonzero(counts)))
        raise ConfigError(
            f"worker {others} is not about to do what this one is; its own message says in what "
            "they differ."
        )
