"""Values of a report, as numbers and text; how they look is up to the templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from kft.evaluation.abstention import RiskCurve
from kft.evaluation.calibration import Reliability
from kft.evaluation.changes import Changes
from kft.evaluation.ladder import LearningPoint, Rung
from kft.evaluation.robustness import Robustness
from kft.evaluation.slices import Slice
from kft.report.explanations import ExplainedAnswer

Interval = tuple[float, float]


@dataclass(frozen=True)
class Score:
    """A figure with its interval.

    Attributes:
        name: Name of the figure, in words.
        value: The figure; None if it is not defined.
        interval: Its 95 % interval; None if unknown.
        is_share: Whether it lies in [0, 1] and is written with three decimals.
    """

    name: str
    value: float | None
    interval: Interval | None = None
    is_share: bool = True


@dataclass(frozen=True)
class NamedScores:
    """The scores of one class, label or number: a row of a table.

    Attributes:
        name: Name of the class, label or number.
        scores: Its scores, the same ones in every row.
        examples: Number of its examples; None if they are not counted.
    """

    name: str
    scores: tuple[Score, ...]
    examples: int | None


@dataclass(frozen=True)
class ConfusionTable:
    """Number of examples by true and answered class.

    Attributes:
        names: Name of each row and column.
        counts: Number of examples (classes, classes).
        num_classes: Number of classes in all; the table may hold those with most mistakes.
        pairs: Most frequent confusions: true class, answered class, number of examples, share of
            the true class.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    num_classes: int
    pairs: tuple[tuple[str, str, int, float], ...] = ()


@dataclass(frozen=True)
class Mistake:
    """An example with a wrong or costly answer.

    Attributes:
        file: Name of the file.
        source: A preview as a data URI; None if there is none.
        truth: Its label.
        answer: The answer, with its probability.
        alternatives: Most probable answers with their probabilities, best first.
        is_wrong: Whether the answer is wrong rather than merely unsure.
        loss: Loss of the example.
    """

    file: str
    source: str | None
    truth: str
    answer: str
    alternatives: tuple[tuple[str, float], ...]
    is_wrong: bool
    loss: float


@dataclass(frozen=True)
class Line:
    """A line of a chart: x and y of its points, without NaN."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class History:
    """Losses by epoch over all phases.

    Attributes:
        lines: Losses of train and validation.
        phases: Name of each phase with epochs, and its first epoch, counted over all phases.
    """

    lines: tuple[Line, ...]
    phases: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Phase:
    """A phase of the training: what it did, and what it cost."""

    name: str
    learned: str
    seconds: float
    outcome: str


@dataclass(frozen=True)
class Failures:
    """Failures of the model.

    Attributes:
        confusion: Confused classes; None for tasks without classes.
        names: Scores of each class, label or number.
        slices: Slices, the worst first; empty if there are none.
        mistakes: Examples with the highest losses, highest first.
        scatter: True and answered value of each number, for tasks of numbers.
        curves: Recall and precision of each class, for tasks of boxes.
    """

    confusion: ConfusionTable | None = None
    names: tuple[NamedScores, ...] = ()
    slices: tuple[Slice, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    scatter: tuple[Line, ...] = ()
    curves: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Report:
    """All that a report shows.

    Attributes:
        title: Name of the run.
        split: Split that was judged, such as 'holdout', and its number of examples.
        kind: Modality and task, such as 'image-classification'.
        noun: Noun for a class, label or number.
        nouns: Its plural.
        lead: The leading figure; its name, value and interval.
        verdict: Sentences that say what the figures mean, most important first.
        rungs: Ladder from the simplest baseline to the model, which is the last.
        scores: Other figures.
        failures: Where the model fails.
        reliability: Calibration; None if answers are not probabilities.
        risk: Error by coverage; None if answers are not right or wrong.
        history: Losses by epoch; None if no phase has epochs.
        learning: Points of the learning curve; empty if none was computed.
        answering: Sentences on when the model should not answer.
        phases: Phases of the training.
        facts: Heading -> name -> text: data, model, cost.
        settings: All settings, as YAML.
        explanations: Explained answers; empty if none were explained.
        robustness: The leading figure on corrupted examples; None if it was not measured.
        changes: Changes of the backbone; None for runs that did not record them.
    """

    title: str
    split: tuple[str, int]
    kind: str
    noun: str
    nouns: str
    lead: Score
    verdict: tuple[str, ...]
    rungs: tuple[Rung, ...]
    scores: tuple[Score, ...]
    failures: Failures
    reliability: Reliability | None = None
    risk: RiskCurve | None = None
    history: History | None = None
    learning: tuple[LearningPoint, ...] = ()
    answering: tuple[str, ...] = ()
    phases: tuple[Phase, ...] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    settings: str = ""
    explanations: tuple[ExplainedAnswer, ...] = ()
    robustness: Robustness | None = None
    changes: Changes | None = None
