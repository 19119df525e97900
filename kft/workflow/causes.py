"""What the result of a run depends on, and what of it differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kft.errors import ConfigError
from kft.runs import make_manifest
from kft.training import count_replicas
from kft.workflow.plan import Plan

# Settings that may differ from machine to machine.
OF_ONE_MACHINE = ("training.threads",)


def describe_causes(plan: Plan) -> dict[str, Any]:
    """The manifest of a run of this plan: what its result depends on."""
    backbone = plan.assembled.backbone
    training = plan.pipeline.training
    return make_manifest(
        seed=training.seed,
        deterministic=training.deterministic,
        fingerprint=plan.splits.fingerprint,
        weights_sha256=backbone.sha256,
        backbone_source=backbone.source,
        backbone_licence=backbone.licence,
        workers=plan.workers.count,
        replicas=count_replicas(plan.distribution),
    )


def check_of_one_mind(plan: Plan) -> None:
    """That all workers are about to do the same.

    Raises:
        ConfigError: One has other settings, data, weights or versions than the chief.
    """
    workers = plan.workers
    if workers.count == 1:
        return
    causes = describe_causes(plan)
    settings = dict(flatten(plan.pipeline.model_dump(mode="json")))
    own = {
        **{name: value for name, value in settings.items() if name not in OF_ONE_MACHINE},
        **{f"version of {name}": version for name, version in causes["versions"].items()},
        **{f"backbone {name}": value for name, value in causes["backbone"].items()},
        "data": causes["data_fingerprint"],
    }
    differences = list(compare("", workers.ask_chief(lambda: own), own))
    counts = workers.gather(np.array([len(differences)], np.int64))[:, 0]
    if differences:
        listed = "\n".join(f"  - {difference}" for difference in differences)
        raise ConfigError(
            f"worker {workers.number} is not about to do what the chief, worker 0, is:\n{listed}\n"
            "Give all workers the same command, data and packages. What `kft measure` chose for "
            "a machine can be written into the pipeline."
        )
    if counts.any():
        others = ", ".join(map(str, np.flatnonzero(counts)))
        raise ConfigError(
            f"worker {others} is not about to do what this one is; its own message says in what "
            "they differ."
        )


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything in nested mappings."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from flatten(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def compare(kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """'NAME: BEFORE -> NOW' of every value that differs.

    Args:
        kind: Comes before each name.
        before: Values by name.
        now: The same names, or others.
    """
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            found = (json.dumps(side.get(name), ensure_ascii=False) for side in (before, now))
            yield f"{kind}{name}: " + " -> ".join(found)
