"""Objectives: the loss and metrics of training."""

from __future__ import annotations

from kft.objectives.supervised import Objective, make_supervised

__all__ = ["Objective", "make_supervised"]
