"""Training: run phases, record their progress, and check which weights they changed."""

from __future__ import annotations

from kft.training.fitted import FittedPhase, PhaseReport
from kft.training.phase_compiler import PhaseCompiler
from kft.training.phase_selection import run_phase
from kft.training.saving import Trained, load_trained, make_card, save_trained

__all__ = [
    "FittedPhase",
    "PhaseCompiler",
    "PhaseReport",
    "Trained",
    "load_trained",
    "make_card",
    "run_phase",
    "save_trained",
]
