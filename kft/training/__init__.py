"""Phases -> a fitted model."""

from __future__ import annotations

from kft.training.distribution import (
    check_batch_size,
    make_distribution,
    seed_everything,
    set_precision,
)
from kft.training.fitting import FittedPhase, fit_phase
from kft.training.inputs import InputMaker
from kft.training.progress import Display
from kft.training.saving import Trained, load_trained, make_card, save_trained

__all__ = [
    "Display",
    "FittedPhase",
    "InputMaker",
    "Trained",
    "check_batch_size",
    "fit_phase",
    "load_trained",
    "make_card",
    "make_distribution",
    "save_trained",
    "seed_everything",
    "set_precision",
]
