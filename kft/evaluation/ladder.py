"""The ladder of baselines, and the learning curve, as files beside an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kft.figures import format_figure
from kft.runs.atomic import write_json
from kft.runs.layout import read_json

_LADDER, _LEARNING = "ladder.json", "learning_curve.json"


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder: a model that is simpler than the final one.

    Attributes:
        name: What it is, such as 'linear probe'.
        value: Its leading figure on the split of the evaluation.
        interval: 95 % interval of the figure; None if unknown.
        seconds: Time that it took; None if unknown.
    """

    name: str
    value: float
    interval: tuple[float, float] | None = None
    seconds: float | None = None

    def describe(self) -> str:
        """Describe the rung on one line."""
        low_high = self.interval
        between = f", 95 % interval {low_high[0]:.3f} to {low_high[1]:.3f}" if low_high else ""
        return f"{self.name}: {format_figure(self.value)}{between}"


@dataclass(frozen=True)
class LearningPoint:
    """Error of a model that learned from some of the labels.

    Attributes:
        labels: Number of labels.
        error: Its error, such as the share of wrong answers.
        deviation: Standard deviation of the error, above 0.
    """

    labels: int
    error: float
    deviation: float


def write_ladder(folder: Path, rungs: Sequence[Rung], points: Sequence[LearningPoint] = ()) -> None:
    """Write ladder.json and, if there are points, learning_curve.json.

    Args:
        folder: Folder of the evaluation.
        rungs: Rungs from the simplest model on, without the final one.
        points: Points of the learning curve, in any order.
    """
    write_json(folder / _LADDER, [asdict(rung) for rung in rungs])
    if points:
        write_json(folder / _LEARNING, [asdict(point) for point in points])


def read_ladder(folder: Path) -> tuple[tuple[Rung, ...], tuple[LearningPoint, ...]]:
    """Read what `write_ladder` wrote; empty if it was not called.

    Args:
        folder: Folder of the evaluation.

    Raises:
        RunError: A file is damaged.
    """
    files = [folder / name for name in (_LADDER, _LEARNING)]
    rungs, points = (read_json(file) if file.is_file() else [] for file in files)
    return (
        tuple(
            Rung(
                each["name"],
                each["value"],
                each["interval"] and (each["interval"][0], each["interval"][1]),
                each["seconds"],
            )
            for each in rungs
        ),
        tuple(LearningPoint(**each) for each in points),
    )
