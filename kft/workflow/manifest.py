"""The manifest of a run: everything needed to repeat it, or to see why another one differs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kft.runs import describe_process
from kft.workflow.plan import Plan


def describe_plan(plan: Plan) -> dict[str, Any]:
    """Make the manifest of a run of this plan, as JSON values."""
    training, splits, backbone = plan.pipeline.training, plan.splits, plan.assembled.backbone
    own = describe_process()
    return {
        **own,
        "seed": training.seed,
        # Whether the seed decides the weights to the last bit.
        "deterministic": training.deterministic,
        "data_fingerprint": splits.fingerprint,
        "calibration": None if splits.calibration is None else asdict(splits.calibration),
        "backbone": {
            "sha256": backbone.sha256,
            "source": backbone.source,
            "licence": backbone.licence,
        },
        "hardware": {
            **own["hardware"],
            "workers": plan.process.workers.count,
            "replicas": plan.process.replicas,
        },
    }
