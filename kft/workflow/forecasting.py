"""Forecast of a plan's cost."""

from __future__ import annotations

from kft.planning import PhaseForecast, forecast_phases
from kft.workflow.plan import Plan


def forecast_plan(plan: Plan) -> list[PhaseForecast]:
    """Forecast the cost of each phase from the forward time measured on this machine."""
    pipeline = plan.pipeline
    return forecast_phases(
        plan.assembled,
        plan.phases,
        features=pipeline.features,
        num_train=len(plan.splits.train),
        num_validation=len(plan.splits.validation),
        global_batch_size=pipeline.training.batch_size,
    )
