"""Phases -> a fitted model."""

from __future__ import annotations

from kft.training.choosing import PhaseRunner
from kft.training.distribution import (
    check_batch_size,
    check_replicas,
    count_replicas,
    make_distribution,
    seed_everything,
    set_precision,
)
from kft.training.fitted import FittedPhase, settle
from kft.training.inputs import InputMaker
from kft.training.progress import Display
from kft.training.saving import Trained, load_trained, make_card, save_trained

__all__ = [
    "Display",
    "FittedPhase",
    "InputMaker",
    "PhaseRunner",
    "Trained",
    "check_batch_size",
    "check_replicas",
    "count_replicas",
    "load_trained",
    "make_card",
    "make_distribution",
    "save_trained",
    "seed_everything",
    "set_precision",
    "settle",
]
