"""Averages of weights, kept only where validation gains by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from kft.features import Forward
from kft.optimization.lora import is_first_factor
from kft.selection.snapshots import Snapshot, Weights
from kft.tasks.head import Head
from kft.workers import ALONE, Workers

ALPHAS = tuple(round(0.1 * tenths, 1) for tenths in range(1, 10))
"""Shares of the fine-tuned weights that WiSE-FT tries; the paper's grid without its ends."""


@dataclass(frozen=True)
class Judged:
    """How some weights do on validation.

    Attributes:
        loss: Mean loss of an example, without what a pipeline adds in training.
        accuracy: None for numbers.
    """

    loss: float
    accuracy: float | None

    def is_better_than(self, other: Judged) -> bool:
        """Lower loss, and accuracy not lower."""
        return self.loss < other.loss and not self._is_less_accurate(other)

    def is_no_worse_than(self, other: Judged) -> bool:
        """Loss not higher, and accuracy not lower."""
        return self.loss <= other.loss and not self._is_less_accurate(other)

    def _is_less_accurate(self, other: Judged) -> bool:
        if self.accuracy is None or other.accuracy is None:
            return False
        return self.accuracy < other.accuracy

    def describe(self) -> dict[str, float | None]:
        """JSON values."""
        return {"loss": self.loss, "accuracy": self.accuracy}


@dataclass(frozen=True)
class Tried:
    """Weights that were tried.

    Attributes:
        name: 'epoch 7', or the share of the fine-tuned weights.
        judged: On validation.
        is_kept: Whether they are in what the model now holds.
    """

    name: str
    judged: Judged
    is_kept: bool


@dataclass(frozen=True)
class Averaged:
    """What an averaging of weights came to.

    Attributes:
        method: 'greedy_soup' or 'wise_ft'.
        before: How the model did as it was.
        after: How it does now; `before` where nothing was gained.
        tried: In order.
    """

    method: Literal["greedy_soup", "wise_ft"]
    before: Judged
    after: Judged
    tried: tuple[Tried, ...]

    @property
    def is_kept(self) -> bool:
        """Whether the model holds averaged weights now."""
        return self.after is not self.before

    @property
    def gain(self) -> float:
        """By how much the validation loss fell."""
        return self.before.loss - self.after.loss

    def describe(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "method": self.method,
            "is_kept": self.is_kept,
            "before": self.before.describe(),
            "after": self.after.describe(),
            "gain": self.gain,
            "tried": [
                {"name": tried.name, **tried.judged.describe(), "is_kept": tried.is_kept}
                for tried in self.tried
            ],
        }

    def __str__(self) -> str:
        names = {"greedy_soup": "Greedy soup", "wise_ft": "WiSE-FT"}
        kept = ", ".join(tried.name for tried in self.tried if tried.is_kept)
        if not self.is_kept:
            outcome = f"no gain over validation loss {self.before.loss:.4f}, the weights stay"
        else:
            outcome = f"validation loss {self.before.loss:.4f} -> {self.after.loss:.4f} by {kept}"
            if self.after.accuracy is not None and self.before.accuracy is not None:
                outcome += f", accuracy {self.before.accuracy:.4f} -> {self.after.accuracy:.4f}"
        return f"{names[self.method]}: {outcome}"


class ValidationScorer:
    """Scores a model with whatever weights it holds when called; its graph is traced once.

    Args:
        answers: Inputs -> probabilities or standardised numbers, of the whole model or of the
            part after a cut. Low-rank factors stay in it while it is used.
        head: What the outputs mean.
        batches: (inputs, targets) of validation, in order.
        workers: All processes that score the same weights; they go by what the chief computes.
    """

    def __init__(
        self, answers: Forward, head: Head, batches: tf.data.Dataset, workers: Workers = ALONE
    ) -> None:
        self._workers = workers
        self._answers = answers
        self._head = head
        self._batches = batches

    def __call__(self) -> Judged:
        """Loss and accuracy of the present weights."""
        return self.score(*self.answer())

    def answer(self) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (examples, outputs) of the present weights, and the standardised targets."""
        answered = [(self._answers(inputs).numpy(), t.numpy()) for inputs, t in self._batches]
        outputs, targets = zip(*answered, strict=True)
        return self._workers.copy(np.concatenate(outputs)), np.concatenate(targets)

    def score(self, outputs: np.ndarray, targets: np.ndarray) -> Judged:
        """Loss and accuracy of outputs against targets."""
        judge = self._head.task.figures
        losses = judge.example_losses(outputs, targets)
        return Judged(float(np.mean(losses)), judge.accuracy(outputs, targets))


def greedy_soup(
    weights: Weights, snapshots: Iterable[tuple[str, Snapshot]], judge: Callable[[], Judged]
) -> Averaged:
    """Average snapshots while validation does not lose by it, and keep the average if it gains.

    The average begins as the first snapshot; each further one is added to it
    if that is no worse on validation. Batch statistics, where they moved, are
    averaged as weights are, and judged with them.

    Args:
        weights: Of the model; they hold the kept values afterwards.
        snapshots: Name and values, best first; read one at a time.
        judge: Judges the model with its present weights.

    Source: Wortsman et al., Model soups, arXiv:2203.05482, recipe 1.
    """
    present, before = weights.take(), judge()
    soup: Snapshot = {}
    size, best = 0, before
    tried: list[Tried] = []
    for name, snapshot in snapshots:
        candidate = mix(soup, snapshot, 1 / (size + 1)) if soup else snapshot
        weights.put(cast_like(candidate, present))
        judged = judge()
        is_kept = not soup or judged.is_no_worse_than(best)
        if is_kept:
            soup, best, size = candidate, judged, size + 1
        tried.append(Tried(name, judged, is_kept))
    # A soup of one ingredient is no average: going back to that epoch is early stopping's.
    if size > 1 and best.is_better_than(before):
        weights.put(cast_like(soup, present))
        return Averaged("greedy_soup", before, best, tuple(tried))
    weights.put(present)
    unkept = tuple(Tried(t.name, t.judged, is_kept=False) for t in tried)
    return Averaged("greedy_soup", before, before, unkept)


def wise_ft(
    weights: Weights,
    start: Snapshot,
    judge: Callable[[], Judged],
    *,
    alphas: Sequence[float] = ALPHAS,
) -> Averaged:
    """The best interpolation between the weights before and after fine-tuning, if it gains.

    Weights are (1 - alpha) * start + alpha * fine-tuned. Among those whose
    accuracy is not lower than the fine-tuned model's, the lowest loss wins.

    Args:
        weights: Of the fine-tuned model; they hold the kept values afterwards.
        start: Their values before fine-tuning, which is those of the probe.
        judge: Judges the model with its present weights.
        alphas: Shares of the fine-tuned weights to try.

    Source: Wortsman et al., Robust fine-tuning of zero-shot models,
    arXiv:2109.01903.
    """
    tuned, before = weights.take(), judge()
    best, best_alpha = before, None
    judgements: list[tuple[float, Judged]] = []
    for alpha in alphas:
        weights.put(cast_like(mix(tuned, start, 1 - alpha), tuned))
        judged = judge()
        judgements.append((alpha, judged))
        if judged.is_better_than(before) and judged.loss < best.loss:
            best, best_alpha = judged, alpha
    kept = tuned if best_alpha is None else cast_like(mix(tuned, start, 1 - best_alpha), tuned)
    weights.put(kept)
    tried = tuple(Tried(f"alpha {a:g}", judged, a == best_alpha) for a, judged in judgements)
    return Averaged("wise_ft", before, best, tried)


def start_of_path(start: Snapshot, present: Snapshot) -> Snapshot:
    """The weights from where the path to the present ones is straight.

    A product of low-rank factors is on a straight path if one of them stays
    at its last value and the other grows from zero.

    Args:
        start: Before the phase.
        present: Of the same variables.
    """
    return {
        name: present[name] if is_first_factor(name) else value for name, value in start.items()
    }


def mix(one: Snapshot, other: Snapshot, share: float) -> Snapshot:
    """(1 - share) * one + share * other, in float64.

    Whole numbers, which are states and counters, come from `one`.
    """
    return {
        name: (1 - share) * value.astype(np.float64) + share * other[name].astype(np.float64)
        if is_float(value)
        else value
        for name, value in one.items()
    }


def cast_like(snapshot: Snapshot, like: Snapshot) -> Snapshot:
    """The snapshot in the types of another."""
    return {name: value.astype(like[name].dtype) for name, value in snapshot.items()}


def is_float(values: np.ndarray) -> bool:
    """Whether an array holds what can be averaged; bfloat16 too, which numpy does not know."""
    return np.issubdtype(values.dtype, np.floating) or values.dtype.name == "bfloat16"
