"""Drift says whether inputs lie farther from training examples than these from each other."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.drift import measure_drift, read_drift, write_drift
from kft.evaluation.familiarity import fit_familiarity


def draw(count: int, seed: int, shift: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, 8))


@pytest.mark.parametrize(
    ("shift", "said"),
    [(0.0, "look like those of training"), (0.4, "a little"), (3.0, "differ from those")],
)
def test_inputs_are_compared_with_training_examples(shift, said, tmp_path):
    drift = measure_drift(fit_familiarity(draw(1500, 0, 0.0)), draw(400, 1, shift))
    assert said in str(drift)
    assert (drift.unfamiliar > 0.5) == (shift > 1)
    assert drift.expected < 0.05
    assert read_drift(tmp_path) is None
    write_drift(tmp_path, drift)
    assert read_drift(tmp_path) == drift
