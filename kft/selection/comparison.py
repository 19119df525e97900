"""Statistical comparison of two models on the same examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kft.statistics import Difference, paired_mean, paired_proportions
from kft.tasks import Task

# If all examples are right with high confidence, a reduction in the sixth decimal place can be
# significant too, but does not matter.
LEAST_REDUCTION = 1e-3


@dataclass(frozen=True)
class Comparison:
    """Comparison of two models, before and after, on the same examples.

    Attributes:
        accuracy: Gain in accuracy; None if answers can be partly right.
        loss: Reduction of the mean loss.
        num_examples: Number of examples.
        is_better: Whether the gain in accuracy is significant, or the
            reduction of the loss is significant and large enough to matter
            and the accuracy is not lower.
    """

    accuracy: Difference | None
    loss: Difference
    num_examples: int
    is_better: bool

    @property
    def leading(self) -> Difference:
        """Difference to report: of the accuracy if there is one, else of the loss."""
        return self.accuracy or self.loss

    def describe(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "accuracy": self.accuracy.describe() if self.accuracy else None,
            "loss": self.loss.describe(),
            "examples": self.num_examples,
            "is_better": self.is_better,
        }

    def __str__(self) -> str:
        verdict = "better" if self.is_better else "not better"
        accuracy = f"accuracy {self.accuracy}, " if self.accuracy else ""
        return (
            f"{verdict} beyond the 95 % interval over {self.num_examples} examples: "
            f"{accuracy}loss reduction {self.loss}"
        )


def compare(
    before_outputs: np.ndarray,
    after_outputs: np.ndarray,
    targets: np.ndarray,
    task: Task,
) -> Comparison:
    """Compare the outputs of two models on the same examples.

    Differences are taken per example, so that the difficulty of an example,
    which is common to both models, cancels out. Accuracy on 50 examples
    changes in steps of 2 %, too coarse to show many true gains. The
    logarithmic loss is finer, so either may decide. Each wrongly finds a
    difference in about one of 40 comparisons of equal models.

    Args:
        before_outputs: Probabilities or standardised numbers (examples, outputs) of the first
            model.
        after_outputs: Outputs of the second model for the same examples.
        targets: Targets as returned by `Head.standardise`.
        task: Task of the outputs.

    Source: Newcombe, Improved confidence intervals for the difference between
    binomial proportions based on paired data, Statistics in Medicine 17
    (1998), 2635-2650, for accuracies; Student's t of paired differences for
    losses.
    """
    figures = task.figures
    reductions = figures.example_losses(before_outputs, targets) - figures.example_losses(
        after_outputs, targets
    )
    loss = paired_mean(reductions)
    is_lower = loss.low > 0 and loss.gain >= LEAST_REDUCTION
    before = figures.are_right(before_outputs, targets)
    after = figures.are_right(after_outputs, targets)
    if before is None or after is None:
        return Comparison(None, loss, len(targets), is_lower)
    accuracy = paired_proportions(before, after)
    is_better = accuracy.low > 0 or (is_lower and accuracy.gain >= 0)
    return Comparison(accuracy, loss, len(targets), is_better)
