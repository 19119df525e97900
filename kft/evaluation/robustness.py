"""How much a model endures: its leading figure on corrupted examples."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from kft.runs.atomic import write_json
from kft.runs.layout import read_json

FILE = "robustness.json"


@dataclass(frozen=True)
class CorruptedScore:
    """The leading figure on examples that were corrupted in one way.

    Attributes:
        corruption: Name of the corruption; empty for examples as they are.
        strength: Strength from 1 to 5; 0 for examples as they are.
        description: The strength in words.
        value: The figure.
        interval: Its 95 % interval; None if unknown.
    """

    corruption: str
    strength: int
    description: str
    value: float
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Robustness:
    """Figures on corrupted examples.

    Attributes:
        figure: Name of the figure.
        is_share: Whether it is a share of right answers; otherwise it is an error.
        examples: Number of examples.
        scores: The figure on examples as they are, then by corruption and strength.
    """

    figure: str
    is_share: bool
    examples: int
    scores: tuple[CorruptedScore, ...]

    @property
    def clean(self) -> CorruptedScore:
        """The figure on examples as they are."""
        return self.scores[0]

    @property
    def rows(self) -> dict[str, tuple[CorruptedScore, ...]]:
        """Scores by corruption, weakest first."""
        names = dict.fromkeys(score.corruption for score in self.scores[1:])
        return {
            name: tuple(score for score in self.scores if score.corruption == name)
            for name in names
        }


def write_robustness(folder: Path, robustness: Robustness) -> None:
    """Write the figures as JSON into the folder of an evaluation."""
    write_json(folder / FILE, asdict(robustness))


def read_robustness(folder: Path) -> Robustness | None:
    """Read what `write_robustness` wrote; None if it was not called.

    Raises:
        RunError: The file is damaged.
    """
    if not (folder / FILE).is_file():
        return None
    values = read_json(folder / FILE)
    scores = tuple(
        CorruptedScore(**{**each, "interval": each["interval"] and tuple(each["interval"])})
        for each in values.pop("scores")
    )
    return Robustness(**values, scores=scores)
