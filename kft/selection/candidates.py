"""Candidates of a phase: each has a short trial, and one of them goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kft.selection.averaging import Judged
from kft.selection.comparison import Comparison
from kft.strategies import Phase
from kft.strategies.phases import Choice


@dataclass(frozen=True, eq=False)
class TriedCandidate:
    """What came of a candidate's trial.

    Attributes:
        candidate: What was tried.
        judged: On validation, at its end.
        comparison: With the weights that it began with; None where it diverged.
    """

    candidate: Phase
    judged: Judged
    comparison: Comparison | None

    @property
    def is_promising(self) -> bool:
        """Whether it is not worse than the weights it began with, beyond chance.

        So early a rate that will win may still be behind, and surer than right: it must not have
        lost in accuracy, where there is one.
        """
        return self.comparison is not None and self.comparison.leading.high >= 0

    @property
    def has_won(self) -> bool:
        """Whether it is better than the weights it began with, beyond chance."""
        return self.comparison is not None and self.comparison.is_better

    def describe(self, *, is_chosen: bool) -> dict[str, Any]:
        """JSON values."""
        judged = self.judged.describe() if np.isfinite(self.judged.loss) else None
        return {
            "trainable": list(self.candidate.scope.trainable),
            "learning_rate": self.candidate.fit.learning_rate,
            "validation": judged,
            "is_promising": self.is_promising,
            "is_chosen": is_chosen,
        }


def name_candidates(phase: Phase) -> list[Phase]:
    """The candidates of a phase as phases that may take its place."""
    asked = phase.choice
    choice = Choice(must_beat_start=asked.must_beat_start, only_compares=asked.only_compares)
    return [replace(each, name=phase.name, choice=choice) for each in asked.candidates]


def differ_in_rate(candidates: Sequence[Phase]) -> bool:
    """Whether they are one phase at several rates, so that one traced step serves all."""
    first, *others = candidates
    return all(other.at_rate(first.fit.learning_rate) == first for other in others)


def try_in_turn(
    candidates: Iterable[Phase], try_one: Callable[[Phase], TriedCandidate], *, is_sequential: bool
) -> list[TriedCandidate]:
    """What came of the candidates that were tried, in order.

    Args:
        candidates: In the order of their trials.
        try_one: Runs and judges a trial.
        is_sequential: The first that is promising ends the trials.
    """
    tried: list[TriedCandidate] = []
    for candidate in candidates:
        tried.append(try_one(candidate))
        if is_sequential and tried[-1].is_promising:
            break
    return tried


def choose(tried: Sequence[TriedCandidate], *, is_sequential: bool) -> TriedCandidate:
    """The one to go on with: the promising one that ended the trials, or the least loss."""
    if is_sequential and tried[-1].is_promising:
        return tried[-1]
    return min(tried, key=lambda each: each.judged.loss)


def describe_candidate(candidate: Phase, among: Sequence[Phase]) -> str:
    """What distinguishes it from the others."""
    if len({other.scope.trainable for other in among}) > 1:
        return "block " + ", ".join(candidate.scope.trainable[:-1])
    return f"learning rate {candidate.fit.learning_rate:g}"
