"""Drift: how far the features of other data lie from those of training."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kft.evaluation.familiarity import Familiarity, measure_unfamiliar
from kft.runs.atomic import write_json
from kft.runs.layout import read_json

_FILE = "drift.json"
# Chance that an input of training lies nearer than another one, beyond which data have drifted.
_NOTABLE = 0.6


@dataclass(frozen=True)
class Drift:
    """Distance of inputs from those of training.

    Attributes:
        examples: Number of inputs that were compared.
        separation: Chance that a training example lies nearer than an input: 0.5 if they are
            alike, 1 if all inputs lie farther away (ROC AUC).
        interval: 95 % interval of the separation; None for a perfect one.
        unfamiliar: Share of inputs that look like nothing that was seen.
        expected: Share of inputs like those of training that look so.
    """

    examples: int
    separation: float
    interval: tuple[float, float] | None
    unfamiliar: float
    expected: float

    def __str__(self) -> str:
        ends = (
            "" if self.interval is None else f", {self.interval[0]:.2f} to {self.interval[1]:.2f}"
        )
        low = self.separation if self.interval is None else self.interval[0]
        if low > _NOTABLE:
            verdict = "The inputs differ from those of training"
        elif low > 0.5:
            verdict = "The inputs differ a little from those of training"
        else:
            verdict = "The inputs look like those of training"
        return (
            f"{verdict}: {100 * self.unfamiliar:.0f} % look like nothing that was seen, of "
            f"training examples {100 * self.expected:.0f} %; a training example lies nearer with "
            f"probability {self.separation:.2f}{ends} (0.5 if they are alike)."
        )


def measure_drift(familiarity: Familiarity, vectors: np.ndarray) -> Drift:
    """Measure how far inputs lie from training examples that nothing was learned from.

    Args:
        familiarity: Scatter of the training examples.
        vectors: Feature vectors of the inputs (examples, features).
    """
    distances = familiarity.mahalanobis(vectors)
    separation, interval = measure_unfamiliar(familiarity.usual, distances)
    unfamiliar, expected = (
        float((each > familiarity.limit).mean()) for each in (distances, familiarity.usual)
    )
    return Drift(len(vectors), separation, interval, unfamiliar, expected)


def write_drift(folder: Path, drift: Drift) -> None:
    """Write drift.json into the folder of an evaluation."""
    write_json(folder / _FILE, asdict(drift))


def read_drift(folder: Path) -> Drift | None:
    """Read drift.json; None if the evaluation has none.

    Raises:
        RunError: The file is damaged.
    """
    if not (folder / _FILE).is_file():
        return None
    values = read_json(folder / _FILE)
    ends = values["interval"]
    return Drift(**{**values, "interval": ends and (ends[0], ends[1])})
