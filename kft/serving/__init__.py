"""Export of a trained model as a SavedModel with equal answers, and predictions from it."""

from __future__ import annotations

from kft.serving.export import Export, export_model
from kft.serving.guard import Guard
from kft.serving.parity import ServingProcess
from kft.serving.predictor import (
    Answer,
    ExportedModel,
    find_version,
    is_export,
    make_answers,
    read_deviations,
)
from kft.serving.signatures import ServedModel, frame_decoder
from kft.serving.versions import check_next_version

__all__ = [
    "Answer",
    "Export",
    "ExportedModel",
    "Guard",
    "ServedModel",
    "ServingProcess",
    "check_next_version",
    "export_model",
    "find_version",
    "frame_decoder",
    "is_export",
    "make_answers",
    "read_deviations",
]
