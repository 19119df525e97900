"""The manifest of a run, which records everything that its result depends on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kft.runs import make_manifest
from kft.workflow.plan import Plan


def describe_plan(plan: Plan) -> dict[str, Any]:
    """Make the manifest of a run of this plan."""
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
        workers=plan.process.workers.count,
        replicas=plan.process.replicas,
    )
