"""Model -> figures, each beside its baseline."""

from __future__ import annotations

from kft.evaluation.evaluating import Evaluation, evaluate
from kft.evaluation.prediction import Predictor

__all__ = ["Evaluation", "Predictor", "evaluate"]
