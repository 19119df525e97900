"""Export of a trained model as a SavedModel with equal answers, and predictions from it."""

from __future__ import annotations

from kft.serving.export import Export, export_model
from kft.serving.guard import Guard
from kft.serving.parity import ask_export
from kft.serving.predictor import (
    Answer,
    ExportedModel,
    answers_from_outputs,
    find_version,
    is_export,
)
from kft.serving.versions import check_next_version

__all__ = [
    "Answer",
    "Export",
    "ExportedModel",
    "Guard",
    "answers_from_outputs",
    "ask_export",
    "check_next_version",
    "export_model",
    "find_version",
    "is_export",
]
