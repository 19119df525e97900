"""Whether one model answers the same examples better than another, beyond chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kft.statistics import Difference, paired_mean, paired_proportions
from kft.tasks import Task

# Where all examples are right and sure, a fall in the sixth place is beyond chance too.
LEAST_FALL = 1e-3


@dataclass(frozen=True)
class Comparison:
    """Two models on the same examples, before and after.

    Attributes:
        accuracy: By how much the accuracy rose; None where answers can be right in part.
        loss: By how much the mean loss fell.
        num_examples: How many both answered.
        is_better: The rise of the accuracy is beyond its interval, or the
            fall of the loss is beyond its own, large enough to matter, and the
            accuracy is no lower.
    """

    accuracy: Difference | None
    loss: Difference
    num_examples: int
    is_better: bool

    @property
    def leading(self) -> Difference:
        """The difference to tell: of the accuracy where there is one, else of the loss."""
        return self.accuracy or self.loss

    def describe(self) -> dict[str, Any]:
        """JSON values."""
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
            f"{accuracy}fall of the loss {self.loss}"
        )


def compare(
    before_outputs: np.ndarray,
    after_outputs: np.ndarray,
    targets: np.ndarray,
    task: Task,
) -> Comparison:
    """How much better the second outputs are than the first, on the same examples.

    Both models answer the same examples, so the differences are taken example
    by example: what makes an example hard for both cancels out. Accuracy on 50
    examples moves in steps of 2 %, too coarse for many a true gain; the
    logarithmic loss is finer, so either may decide. Each wrongly calls a
    model better in about one of 40 comparisons of equal ones.

    Args:
        before_outputs: Probabilities or standardised numbers (examples, outputs) of the first
            model.
        after_outputs: Of the second, for the same examples.
        targets: As `Head.standardise` gives them.
        task: What the outputs answer.

    Source: Newcombe, Improved confidence intervals for the difference between
    binomial proportions based on paired data, Statistics in Medicine 17
    (1998), 2635-2650, for accuracies; Student's t of paired differences for
    losses.
    """
    judge = task.figures
    falls = judge.example_losses(before_outputs, targets) - judge.example_losses(
        after_outputs, targets
    )
    loss = paired_mean(falls)
    is_fall = loss.low > 0 and loss.gain >= LEAST_FALL
    before = judge.are_right(before_outputs, targets)
    after = judge.are_right(after_outputs, targets)
    if before is None or after is None:
        return Comparison(None, loss, len(targets), is_fall)
    accuracy = paired_proportions(before, after)
    is_better = accuracy.low > 0 or (is_fall and accuracy.gain >= 0)
    return Comparison(accuracy, loss, len(targets), is_better)
