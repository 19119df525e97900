"""A search over pipelines: its space, its trials, and the run of the best."""

from __future__ import annotations

from kft.tuning.searching import Trial, Tuned, tune
from kft.tuning.space import Refusal

__all__ = ["Refusal", "Trial", "Tuned", "tune"]
