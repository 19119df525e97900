"""Values of a comparison of runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from kft.figures import format_figure, format_share
from kft.report.charts import Chart
from kft.report.record import Score
from kft.statistics import Difference

# Probability of a difference by chance below which it is called one.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    Attributes:
        name: Short name, unique among the runs.
        path: Path of the run.
        split: Split that it was judged on, and its number of examples.
        lead: The leading figure.
        scores: Other figures.
        seconds: Time of all phases.
        megabytes: Size of the model.
    """

    name: str
    path: str
    split: tuple[str, int]
    lead: Score
    scores: tuple[Score, ...]
    seconds: float
    megabytes: float


@dataclass(frozen=True)
class PairedDifference:
    """Difference of a run from the first one, over the examples that both were judged on.

    Attributes:
        name: Name of the run.
        figure: What is compared: 'accuracy', or 'loss' where answers are not right or wrong.
        examples: Number of shared examples.
        difference: Gain with its 95 % interval; above 0 the run is better than the first.
        chance: Probability of such a difference by chance, adjusted for the number of runs.
    """

    name: str
    figure: Literal["accuracy", "loss"]
    examples: int
    difference: Difference
    chance: float

    @property
    def verdict(self) -> str:
        """Sentence that says what the difference means."""
        if self.chance >= SIGNIFICANT:
            return "cannot be told from the first"
        return "better than the first" if self.difference.gain > 0 else "worse than the first"

    @property
    def chance_text(self) -> str:
        """The probability with three decimals."""
        return "< 0.001" if self.chance < 0.001 else f"{self.chance:.3f}"

    def describe(self) -> dict[str, Any]:
        """Describe it as JSON values."""
        return {
            "run": self.name,
            "figure": self.figure,
            "examples": self.examples,
            **self.difference.describe(),
            "chance": self.chance,
            "verdict": self.verdict,
        }


@dataclass(frozen=True)
class Setting:
    """A setting that differs: its path, and its value in each run."""

    path: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """Comparison of runs; the first is the one that the others are compared with.

    Attributes:
        runs: The runs, as given.
        differences: Paired difference of each other run from the first; empty if they were judged
            on different examples.
        note: Sentence about the examples.
        settings: Settings that differ.
        curves: Chart of the losses by epoch; None if no run has epochs.
    """

    runs: tuple[ComparedRun, ...]
    differences: tuple[PairedDifference, ...]
    note: str
    settings: tuple[Setting, ...]
    curves: Chart | None

    @property
    def score_names(self) -> tuple[str, ...]:
        """Names of the figures that all runs have, the leading one first."""
        return (self.runs[0].lead.name, *(score.name for score in self.runs[0].scores))

    def list_rows(self) -> Iterator[tuple[str, ...]]:
        """List the table: a heading, then for each run its figures in words."""
        yield ("run", *self.score_names, "seconds", "MB")
        for run in self.runs:
            scores = (run.lead, *run.scores)
            yield (run.name, *map(write, scores), f"{run.seconds:.0f}", f"{run.megabytes:.1f}")

    def describe(self) -> dict[str, Any]:
        """Describe the comparison as JSON values."""
        return {
            "runs": [
                {
                    "run": run.name,
                    "path": run.path,
                    "split": run.split[0],
                    "examples": run.split[1],
                    "figures": {
                        score.name: {"value": score.value, "interval": score.interval}
                        for score in (run.lead, *run.scores)
                    },
                    "seconds": run.seconds,
                    "megabytes": run.megabytes,
                }
                for run in self.runs
            ],
            "differences": [each.describe() for each in self.differences],
            "note": self.note,
            "settings": {
                each.path: dict(zip((run.name for run in self.runs), each.values, strict=True))
                for each in self.settings
            },
        }

    def __repr__(self) -> str:
        lines = ["  ".join(row) for row in self.list_rows()]
        lines += [f"{each.name}: {each.difference}, {each.verdict}" for each in self.differences]
        return "\n".join((*lines, self.note))

    def _repr_html_(self) -> str:
        import html

        from kft.comparison.page import render_comparison

        page = html.escape(render_comparison(self).decode())
        return f'<iframe srcdoc="{page}" width="100%" height="600" frameborder="0"></iframe>'


def write(score: Score) -> str:
    """Write a figure with its interval."""
    form = format_share if score.is_share else format_figure
    ends = f" ({' to '.join(map(form, score.interval))})" if score.interval else ""
    return f"{form(score.value)}{ends}"
