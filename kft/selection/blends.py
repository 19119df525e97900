"""Blends of the weights before and after a phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kft.errors import TrainingError
from kft.selection.averaging import (
    ValidationScore,
    ValidationScorer,
    cast_like,
    mix,
    score_outputs,
)
from kft.selection.comparison import Comparison, compare
from kft.selection.snapshots import Snapshot, Weights
from kft.tasks import Task

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the trained weights that `find_blend` tries; 0 is the start itself."""


@dataclass(frozen=True, eq=False)
class Blend:
    """Blends of start and trained weights, scored on examples that neither had seen.

    Attributes:
        share: Share of the trained weights with the lowest loss; the smallest of equal ones.
        scores: Score of each share.
        comparison: Comparison of that blend with the start.
    """

    share: float
    scores: Mapping[float, ValidationScore]
    comparison: Comparison

    @property
    def score(self) -> ValidationScore:
        """Score of the best blend."""
        return self.scores[self.share]

    def promises_gain(self, slack: float = 0.0) -> bool:
        """Tell whether a blend has a lower loss than the start, times 1 + slack."""
        least = min(score.loss for share, score in self.scores.items() if share)
        return least < (1 + slack) * self.scores[0.0].loss

    def describe(self) -> dict[str, Any]:
        """Return JSON values."""
        tried = [{"share": share, **score.describe()} for share, score in self.scores.items()]
        return {"share": self.share, "tried": tried}

    def __str__(self) -> str:
        start, trained = (f"{self.scores[share].loss:.4g}" for share in (0.0, 1.0))
        if not self.share:
            return f"no blend improves the loss on unseen data ({start} before, {trained} after)"
        blended = f", {self.score.loss:.4g} blended" if self.share < 1 else ""
        return (
            f"a share of {self.share:g} is expected best (loss on unseen data {start} before, "
            f"{trained} after{blended})"
        )


def find_blend(weights: Weights, start: Snapshot, scorer: ValidationScorer, task: Task) -> Blend:
    """Find the blend of start and trained weights with the lowest loss on validation.

    Args:
        weights: Trained weights of the model, which are unchanged afterwards.
        start: Values before training, from `start_of_path`.
        scorer: Scorer of the model with its current weights.
        task: Task of the outputs.

    Raises:
        TrainingError: The loss on validation is not finite.

    Source: Wortsman et al., Robust fine-tuning of zero-shot models,
    arXiv:2109.01903.
    """
    return judge_blends(*answer_blends(weights, start, scorer), task)


def answer_blends(
    weights: Weights, start: Snapshot, scorer: ValidationScorer
) -> tuple[dict[float, np.ndarray], np.ndarray]:
    """Compute the outputs (examples, outputs) of each blend, by its share, and the targets.

    See `find_blend` for the arguments.

    Raises:
        TrainingError: The outputs of the trained weights are not finite.
    """
    trained = weights.take()
    outputs: dict[float, np.ndarray] = {}
    # The trained weights come first, because with weights that are not finite no blend is defined.
    for share in reversed(SHARES):
        weights.put(cast_like(mix(trained, start, 1 - share), trained))
        outputs[share], targets = scorer.answer()
        if not np.isfinite(outputs[share]).all():
            raise TrainingError(
                "the outputs are not finite after training. Lower the learning rate, or set "
                "training.clip_norm."
            )
    weights.put(trained)
    return outputs, targets


def judge_blends(outputs: Mapping[float, np.ndarray], targets: np.ndarray, task: Task) -> Blend:
    """Find the blend with the lowest loss.

    Args:
        outputs: Outputs (examples, outputs) of each blend, by its share.
        targets: Standardised targets.
        task: Task of the outputs.
    """
    scores = {share: score_outputs(task, outputs[share], targets) for share in SHARES}
    best = min(SHARES, key=lambda share: scores[share].loss)
    return Blend(best, scores, compare(outputs[0.0], outputs[best], targets, task))


def put_blend(weights: Weights, start: Snapshot, share: float) -> None:
    """Replace the trained weights by their blend with the start; see `find_blend`."""
    trained = weights.take()
    weights.put(cast_like(mix(trained, start, 1 - share), trained))
