"""Optimization: optimizers, schedules and the training step, on one device or several."""

from __future__ import annotations

from kft.optimization.distribution import (
    check_batch_size,
    check_replicas,
    count_replicas,
    make_distribution,
    seed_everything,
    set_precision,
)

__all__ = [
    "check_batch_size",
    "check_replicas",
    "count_replicas",
    "make_distribution",
    "seed_everything",
    "set_precision",
]
