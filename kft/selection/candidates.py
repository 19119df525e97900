"""Candidates of a phase: each is tried for a few steps, and one of them is chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kft.selection.averaging import ValidationScore
from kft.selection.blends import Blend
from kft.strategies import Phase
from kft.strategies.phases import Choice


@dataclass(frozen=True, eq=False)
class TriedCandidate:
    """Result of trying a candidate.

    Attributes:
        candidate: Phase that was tried.
        score: Score on validation at the end of the trial: of its best blend, if it has one.
        blend: Blends with the start weights; None if the candidate diverged, or if none are made.
    """

    candidate: Phase
    score: ValidationScore
    blend: Blend | None = None

    @property
    def is_promising(self) -> bool:
        """Whether a blend has a lower loss than the start weights."""
        return self.blend is not None and self.blend.share > 0

    def describe(self, *, is_chosen: bool) -> dict[str, Any]:
        """Return JSON values."""
        score = self.score.describe() if np.isfinite(self.score.loss) else None
        return {
            "trainable": list(self.candidate.scope.trainable),
            "learning_rate": self.candidate.fit.learning_rate,
            "validation": score,
            "blend": None if self.blend is None else self.blend.describe(),
            "is_promising": self.is_promising,
            "is_chosen": is_chosen,
        }


def name_candidates(phase: Phase) -> list[Phase]:
    """Return the candidates of a phase as phases that can replace it, under its name."""
    planned = phase.choice
    choice = Choice(blends=planned.blends)
    return [replace(each, name=phase.name, choice=choice) for each in planned.candidates]


def differ_in_rate(candidates: Sequence[Phase]) -> bool:
    """Tell whether candidates differ only in rate, so that they can share one traced step."""
    first, *others = candidates
    return all(other.at_rate(first.fit.learning_rate) == first for other in others)


def try_in_turn(
    candidates: Iterable[Phase], try_one: Callable[[Phase], TriedCandidate], *, is_sequential: bool
) -> list[TriedCandidate]:
    """Try candidates in order.

    Args:
        candidates: Candidates in the order of their trials.
        try_one: Function that trains and scores a candidate.
        is_sequential: Whether the first promising candidate ends the trials.

    Returns:
        The results of the candidates that were tried, in order.
    """
    tried: list[TriedCandidate] = []
    for candidate in candidates:
        tried.append(try_one(candidate))
        if is_sequential and tried[-1].is_promising:
            break
    return tried


def choose(tried: Sequence[TriedCandidate], *, is_sequential: bool) -> TriedCandidate:
    """Choose the promising candidate that ended the trials, or else the lowest loss."""
    if is_sequential and tried[-1].is_promising:
        return tried[-1]
    return min(tried, key=lambda each: each.score.loss)


def describe_candidate(candidate: Phase, among: Sequence[Phase]) -> str:
    """Describe how a candidate differs from the others."""
    if len({other.scope.trainable for other in among}) > 1:
        return "block " + ", ".join(candidate.scope.trainable[:-1])
    return f"learning rate {candidate.fit.learning_rate:g}"
