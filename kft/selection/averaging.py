"""Averages of weights, kept only if validation improves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from kft.features import OUTPUT, Forward
from kft.optimization.lora import is_first_factor
from kft.selection.snapshots import Snapshot, Weights
from kft.tasks import Task
from kft.tasks.head import Head
from kft.workers import ALONE, Workers

ALPHAS = tuple(round(0.1 * tenths, 1) for tenths in range(1, 10))
"""Shares of the fine-tuned weights that WiSE-FT tries: the paper's grid without its ends."""


@dataclass(frozen=True)
class ValidationScore:
    """Loss and accuracy of some weights on validation.

    Attributes:
        loss: Mean loss per example, without terms that the pipeline adds in training.
        accuracy: Accuracy; None for numbers.
    """

    loss: float
    accuracy: float | None

    def is_better_than(self, other: ValidationScore) -> bool:
        """Tell whether the loss is lower and the accuracy not lower."""
        return self.loss < other.loss and not self._is_less_accurate(other)

    def is_no_worse_than(self, other: ValidationScore) -> bool:
        """Tell whether the loss is not higher and the accuracy not lower."""
        return self.loss <= other.loss and not self._is_less_accurate(other)

    def _is_less_accurate(self, other: ValidationScore) -> bool:
        if self.accuracy is None or other.accuracy is None:
            return False
        return self.accuracy < other.accuracy

    def describe(self) -> dict[str, float | None]:
        """Return JSON values."""
        return {"loss": self.loss, "accuracy": self.accuracy}

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f", accuracy {self.accuracy:.3f}"
        return f"validation loss {self.loss:.4g}{accuracy}"


@dataclass(frozen=True)
class TriedWeights:
    """Weights that were tried on validation.

    Attributes:
        name: Name such as 'epoch 7' or 'alpha 0.3', the share of the fine-tuned weights.
        score: Score on validation.
        is_kept: Whether they are part of the weights that the model now holds.
    """

    name: str
    score: ValidationScore
    is_kept: bool


@dataclass(frozen=True)
class AveragingResult:
    """Result of averaging weights.

    Attributes:
        method: 'greedy_soup' or 'wise_ft'.
        before: Score of the model before averaging.
        after: Score of the model now; the same object as `before` if nothing improved.
        tried: Weights that were tried, in order.
    """

    method: Literal["greedy_soup", "wise_ft"]
    before: ValidationScore
    after: ValidationScore
    tried: tuple[TriedWeights, ...]

    @property
    def is_kept(self) -> bool:
        """Whether the model holds averaged weights now."""
        return self.after is not self.before

    @property
    def gain(self) -> float:
        """Reduction of the validation loss."""
        return self.before.loss - self.after.loss

    def describe(self) -> dict[str, Any]:
        """Return JSON values."""
        return {
            "method": self.method,
            "is_kept": self.is_kept,
            "before": self.before.describe(),
            "after": self.after.describe(),
            "gain": self.gain,
            "tried": [
                {"name": tried.name, **tried.score.describe(), "is_kept": tried.is_kept}
                for tried in self.tried
            ],
        }

    def __str__(self) -> str:
        names = {"greedy_soup": "Greedy soup", "wise_ft": "WiSE-FT"}
        kept = ", ".join(tried.name for tried in self.tried if tried.is_kept)
        if not self.is_kept:
            outcome = f"no gain over validation loss {self.before.loss:.4f}; weights unchanged"
        else:
            outcome = f"validation loss {self.before.loss:.4f} -> {self.after.loss:.4f} by {kept}"
            if self.after.accuracy is not None and self.before.accuracy is not None:
                outcome += f", accuracy {self.before.accuracy:.4f} -> {self.after.accuracy:.4f}"
        return f"{names[self.method]}: {outcome}"


class ValidationScorer:
    """Scorer of a model with its current weights on validation; its graph is traced once.

    Args:
        answers: Forward pass from inputs to probabilities or standardised numbers, of the whole
            model or of the part after a cut. It may include low-rank factors, which must not be
            merged while the scorer is used.
        head: Head that interprets the outputs.
        batches: Batches (inputs, targets) of validation, in order.
        workers: All processes that score the same weights; all use the outputs of the chief.
    """

    def __init__(
        self, answers: Forward, head: Head, batches: tf.data.Dataset, workers: Workers = ALONE
    ) -> None:
        self._workers = workers
        self._answers = answers
        self._head = head
        self._batches = batches

    def __call__(self) -> ValidationScore:
        """Score the current weights."""
        return score_outputs(self._head.task, *self.answer())

    def answer(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute outputs (examples, outputs) of the current weights, and standardised targets."""
        answered = []
        for inputs, batch_targets in self._batches:
            own = batch_targets.numpy()
            answers = self._answers(inputs)[OUTPUT].numpy()
            answered.append((self._head.condense(answers, own), own))
        outputs, targets = zip(*answered, strict=True)
        return self._workers.copy(np.concatenate(outputs)), np.concatenate(targets)


def score_outputs(task: Task, outputs: np.ndarray, targets: np.ndarray) -> ValidationScore:
    """Compute loss and accuracy of outputs (examples, outputs) against standardised targets."""
    losses = task.figures.example_losses(outputs, targets)
    return ValidationScore(float(np.mean(losses)), task.figures.accuracy(outputs, targets))


def greedy_soup(
    weights: Weights,
    snapshots: Iterable[tuple[str, Snapshot]],
    scorer: Callable[[], ValidationScore],
) -> AveragingResult:
    """Average snapshots while validation does not get worse, and keep an average that is better.

    The average starts as the first snapshot, and each further snapshot is
    added if the result is not worse on validation. Batch statistics that
    changed are averaged and scored like weights.

    Args:
        weights: Weights of the model, which hold the kept values afterwards.
        snapshots: Names and values, best first; read one at a time.
        scorer: Function that scores the model with its current weights.

    Source: Wortsman et al., Model soups, arXiv:2203.05482, recipe 1.
    """
    present, before = weights.take(), scorer()
    soup: Snapshot = {}
    size, best = 0, before
    tried: list[TriedWeights] = []
    for name, snapshot in snapshots:
        candidate = mix(soup, snapshot, 1 / (size + 1)) if soup else snapshot
        weights.put(cast_like(candidate, present))
        score = scorer()
        is_kept = not soup or score.is_no_worse_than(best)
        if is_kept:
            soup, best, size = candidate, score, size + 1
        tried.append(TriedWeights(name, score, is_kept))
    # A soup of one snapshot is not an average; only early stopping restores single epochs.
    if size > 1 and best.is_better_than(before):
        weights.put(cast_like(soup, present))
        return AveragingResult("greedy_soup", before, best, tuple(tried))
    weights.put(present)
    rejected = tuple(TriedWeights(t.name, t.score, is_kept=False) for t in tried)
    return AveragingResult("greedy_soup", before, before, rejected)


def wise_ft(
    weights: Weights,
    start: Snapshot,
    scorer: Callable[[], ValidationScore],
    *,
    alphas: Sequence[float] = ALPHAS,
) -> AveragingResult:
    """Interpolate between the weights before and after fine-tuning, and keep what is better.

    The weights are (1 - alpha) * start + alpha * fine-tuned. Among those whose
    accuracy is not lower than the fine-tuned model's, the lowest loss wins.

    Args:
        weights: Weights of the fine-tuned model, which hold the kept values
            afterwards.
        start: Values before fine-tuning, those of the probe.
        scorer: Function that scores the model with its current weights.
        alphas: Shares of the fine-tuned weights to try.

    Source: Wortsman et al., Robust fine-tuning of zero-shot models,
    arXiv:2109.01903.
    """
    tuned, before = weights.take(), scorer()
    best, best_alpha = before, None
    scores: list[tuple[float, ValidationScore]] = []
    for alpha in alphas:
        weights.put(cast_like(mix(tuned, start, 1 - alpha), tuned))
        score = scorer()
        scores.append((alpha, score))
        if score.is_better_than(before) and score.loss < best.loss:
            best, best_alpha = score, alpha
    kept = tuned if best_alpha is None else cast_like(mix(tuned, start, 1 - best_alpha), tuned)
    weights.put(kept)
    tried = tuple(TriedWeights(f"alpha {a:g}", score, a == best_alpha) for a, score in scores)
    return AveragingResult("wise_ft", before, best, tried)


def start_of_path(start: Snapshot, present: Snapshot) -> Snapshot:
    """Adapt start weights so that interpolation to the present ones is linear in merged weights.

    The product of low-rank factors is linear if the first factor keeps its
    last value and only the second grows from zero.

    Args:
        start: Weights before the phase.
        present: Present weights of the same variables.
    """
    return {
        name: present[name] if is_first_factor(name) else value for name, value in start.items()
    }


def mix(one: Snapshot, other: Snapshot, share: float) -> Snapshot:
    """Compute (1 - share) * one + share * other, in float64.

    Integers, which are states and counters, are taken from `one`.
    """
    return {
        name: (1 - share) * value.astype(np.float64) + share * other[name].astype(np.float64)
        if is_float(value)
        else value
        for name, value in one.items()
    }


def cast_like(snapshot: Snapshot, like: Snapshot) -> Snapshot:
    """Cast a snapshot to the types of another."""
    return {name: value.astype(like[name].dtype) for name, value in snapshot.items()}


def is_float(values: np.ndarray) -> bool:
    """Tell whether an array can be averaged, including bfloat16, which NumPy does not know."""
    return np.issubdtype(values.dtype, np.floating) or values.dtype.name == "bfloat16"
