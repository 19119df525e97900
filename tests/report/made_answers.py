"""Answers of models that never were."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Answers = tuple[Sequence[str], np.ndarray, np.ndarray]


def draw_classes(count: int = 120, names: Sequence[str] = ("ant", "bee", "fly")) -> Answers:
    random = np.random.default_rng(0)
    targets = random.integers(0, len(names), count)
    logits = random.normal(size=(count, len(names)))
    logits[np.arange(count), targets] += 2.5
    outputs = np.exp(logits)
    return names, targets, (outputs / outputs.sum(axis=1, keepdims=True)).astype(np.float32)


def draw_labels() -> Answers:
    random = np.random.default_rng(0)
    targets = (random.random((120, 3)) < 0.4).astype(np.float32)
    outputs = np.clip(0.6 * targets + 0.4 * random.random((120, 3)), 0, 1).astype(np.float32)
    return ("wet", "dark", "blurred"), targets, outputs


def draw_numbers() -> Answers:
    targets = np.random.default_rng(0).normal(20, 5, (80, 2))
    outputs = targets + np.random.default_rng(1).normal(0, 2, (80, 2))
    return ("weight", "age"), targets, outputs
