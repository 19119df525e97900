"""Temperature of logits: one number by which they are divided, so that probabilities come true."""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

# Range of the temperature, beyond which outputs are those of the best class, or all equal.
_COLDEST, _HOTTEST = 0.02, 50.0
# Standard deviation of the logarithm of temperatures before any example is seen. Where every answer
# is right, only this keeps a few examples from proving certainty; it weighs little beside hundreds.
_PRIOR_SPREAD = 0.5
# More logits would not change the temperature, and take longer.
_MOST_LOGITS = 2_000_000
# Smallest probability that float32 holds, to keep logarithms finite.
_LEAST_PROBABILITY = 1e-38


def fit_temperature(logits: np.ndarray, targets: np.ndarray) -> float:
    """Find the temperature with the lowest log loss of logits divided by it.

    Above 1, the model was too sure of itself. Dividing by it changes no order of classes.

    Args:
        logits: Logits (examples, names) of examples that the model was not trained on.
        targets: Index of each example's class (examples,), or labels of 0 and 1 (examples, names).

    Returns:
        Temperature in [0.02, 50]; about 1 if there are few examples.

    Source: Guo et al., On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """
    step = -(-logits.size // _MOST_LOGITS)
    logits, targets = np.asarray(logits[::step], np.float64), targets[::step]

    def objective(value: float) -> float:
        surprise = _log_losses(logits / np.exp(value), targets).sum()
        return float(surprise + 0.5 * (value / _PRIOR_SPREAD) ** 2)

    found = optimize.minimize_scalar(
        objective,
        bounds=(np.log(_COLDEST), np.log(_HOTTEST)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))


def apply_temperature(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Divide logits by a temperature.

    Args:
        logits: Logits (examples, names).
        temperature: Result of `fit_temperature`.
    """
    cooled: np.ndarray = np.asarray(logits, np.float64) / temperature
    return cooled


def _log_losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Log loss of each example; of labels, the mean over the labels."""
    if targets.ndim == 1:
        likely: np.ndarray = special.log_softmax(logits, axis=1)[np.arange(len(targets)), targets]
        return -likely
    losses: np.ndarray = np.logaddexp(0.0, np.where(targets > 0.5, -logits, logits)).mean(axis=1)
    return losses


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms, float64 and finite, of probabilities."""
    logs: np.ndarray = np.log(np.maximum(probabilities, _LEAST_PROBABILITY, dtype=np.float64))
    return logs
