"""Evaluation of a model: its outputs on a split, and figures with their baselines."""

from __future__ import annotations

from kft.evaluation.evaluating import Evaluation, evaluate
from kft.evaluation.prediction import Predictor

__all__ = ["Evaluation", "Predictor", "evaluate"]
