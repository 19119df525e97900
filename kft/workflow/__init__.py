"""The stages of a run, in order; the only room that reads the whole `Pipeline`."""

from __future__ import annotations

from kft.workflow.caution import load_guard
from kft.workflow.data_description import describe_data
from kft.workflow.export_stage import choose_parity_examples, describe_export
from kft.workflow.forecasting import forecast_plan
from kft.workflow.plan import Plan, check_settings, make_plan
from kft.workflow.running import resume, train
from kft.workflow.stages import Finished

__all__ = [
    "Finished",
    "Plan",
    "check_settings",
    "choose_parity_examples",
    "describe_data",
    "describe_export",
    "forecast_plan",
    "load_guard",
    "make_plan",
    "resume",
    "train",
]
