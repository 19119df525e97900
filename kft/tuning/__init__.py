"""Search over pipelines: the space, the trials, and the run of the best pipeline."""

from __future__ import annotations

from kft.tuning.searching import Trial, Tuned, tune
from kft.tuning.space import Refusal

__all__ = ["Refusal", "Trial", "Tuned", "tune"]
