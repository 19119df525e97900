"""Baselines that cost next to nothing on stored features, and the learning curve of a probe."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from kft.evaluation.ladder import LearningPoint, find_deviation
from kft.evaluation.neighbours import find_neighbours, normalise
from kft.examples import Examples
from kft.linear import LinearLoss, LinearTargets, Solution, solve_linear
from kft.linear.folds import sample_rows
from kft.linear.problem import take_rows
from kft.modalities import Modality
from kft.tasks import Task

MAJORITY, NEIGHBOURS, LAST_LAYER, LAYERED, FINE_TUNED = (
    "majority",
    "k-NN",
    "last-layer probe",
    "layered probe",
    "fine-tuned",
)
_NUM_NEIGHBOURS = 5
# Training examples among which neighbours are searched.
_MOST_KNOWN = 10_000
# Multiplications in one evaluation of a probe, so that it takes seconds for any number of classes,
# and examples of each output below which a smaller sample would mean little.
_MOST_WORK = 1e8
_LEAST_OF_EACH = 10
# Share of the labels -> how many random parts of that size are tried.
SHARES = {0.1: 4, 0.25: 3, 0.5: 2, 1.0: 1}
# Labels below which a probe is no point of a curve.
_LEAST_LABELS = 5


@dataclass(frozen=True)
class FeatureSet:
    """Feature vectors with the problem of a linear head.

    Attributes:
        train: Vectors of the training examples (train, features), possibly memory-mapped.
        asked: Vectors of the examples to judge (asked, features).
        targets: Training targets, with groups.
        loss: Loss of a linear head.
        answer: Function from logits (examples, outputs) to answers in the unit of the targets.
        seed: Seed of folds and samples.
    """

    train: np.ndarray
    asked: np.ndarray
    targets: LinearTargets
    loss: LinearLoss
    answer: Callable[[np.ndarray], np.ndarray]
    seed: int = 0

    def of_columns(self, columns: slice) -> FeatureSet:
        """Select some of the features."""
        return replace(self, train=self.train[:, columns], asked=self.asked[:, columns])


@dataclass(frozen=True)
class Baseline:
    """Answers of a simple model.

    Attributes:
        name: What it is.
        outputs: Its outputs in the unit of the targets (asked, outputs).
        seconds: Time that it took; a baseline on features needs these in addition.
        num_numbers: Numbers that it stores; None if unknown.
    """

    name: str
    outputs: np.ndarray
    seconds: float
    num_numbers: int | None


def ask_modality(
    modality: Modality, train: Examples, asked: Examples, task: Task, num_names: int
) -> Iterator[Baseline]:
    """Ask the baselines of a modality, such as word counts for texts.

    Args:
        modality: Modality of the examples.
        train: Examples that the model was trained on.
        asked: Examples to answer about.
        task: Task of the targets.
        num_names: Number of outputs.
    """
    for name, answer in modality.baselines.items():
        begun = time.monotonic()
        outputs = answer(train, asked, task, num_names)
        if outputs is not None:
            yield Baseline(name, outputs, time.monotonic() - begun, None)


def ask_neighbours(features: FeatureSet, restore: Callable[[np.ndarray], np.ndarray]) -> Baseline:
    """Answer with the mean target of the five nearest training examples.

    Args:
        features: Vectors of one layer.
        restore: Function from mean targets to answers in the unit of the targets.
    """
    begun = time.monotonic()
    rows = sample_rows(features.targets, features.loss, features.seed, _MOST_KNOWN)
    known = normalise(take_rows(features.train, rows))
    places, _ = find_neighbours(known, features.asked, _NUM_NEIGHBOURS)
    # Nearer examples decide between classes that are equally frequent.
    weights = np.linspace(1.0, 0.9, places.shape[1])
    dense = features.targets.dense[rows]
    answers = np.einsum("k,ekn->en", weights / weights.sum(), dense[places])
    return Baseline(NEIGHBOURS, restore(answers), time.monotonic() - begun, known.size)


def solve_probe(features: FeatureSet) -> tuple[Baseline, Solution] | None:
    """Solve for a linear head on one layer; None if there are too many classes for a baseline.

    Args:
        features: Vectors of the layer.
    """
    begun = time.monotonic()
    num_outputs = features.targets.dense.shape[1]
    count = int(_MOST_WORK / (features.train.shape[1] * num_outputs))
    if count < min(len(features.targets), _LEAST_OF_EACH * num_outputs):
        return None
    rows = sample_rows(features.targets, features.loss, features.seed, count)
    solution = _solve(features, rows, penalty=None)
    outputs = _ask(features, solution)
    seconds = time.monotonic() - begun
    return Baseline(LAST_LAYER, outputs, seconds, solution.kernel.size), solution


def measure_learning(
    features: FeatureSet,
    penalty: float,
    judge: Callable[[np.ndarray], np.ndarray],
    groups: np.ndarray | None = None,
) -> Iterator[LearningPoint]:
    """Measure the error of a probe that learns from some of the labels.

    Groups of training examples are taken whole. The penalty is that of all labels: it is the
    strength of a prior, which does not depend on their number.

    Args:
        features: Vectors of the layer that the probe reads.
        penalty: Penalty of the probe on all labels.
        judge: Function from outputs to the error of each example (asked,), bool or float.
        groups: Group of each example that is judged, see `find_deviation`.
    """
    units = features.targets.groups
    units = np.arange(len(features.targets)) if units is None else units
    for share, repeats in SHARES.items():
        drawn = [
            _draw(units, share, np.random.default_rng([features.seed, round(100 * share), number]))
            for number in range(repeats)
        ]
        if min(map(len, drawn)) < max(_LEAST_LABELS, 2 * features.targets.dense.shape[1]):
            continue
        errors = [judge(_ask(features, _solve(features, rows, penalty=penalty))) for rows in drawn]
        mean = np.mean(errors, axis=0) if repeats > 1 else errors[0]
        labels = round(float(np.mean([len(rows) for rows in drawn])))
        yield LearningPoint(labels, float(mean.mean()), find_deviation(mean, groups))


def _draw(units: np.ndarray, share: float, generator: np.random.Generator) -> np.ndarray:
    """Draw whole units at random until they hold the share of the examples, ascending."""
    order = generator.permutation(np.unique(units))
    ranks = np.argsort(order)[np.searchsorted(np.unique(units), units)]
    sizes = np.bincount(ranks)
    count = 1 + int(np.searchsorted(np.cumsum(sizes), share * len(units) - 0.5))
    return np.flatnonzero(ranks < count)


def _solve(features: FeatureSet, rows: np.ndarray, *, penalty: float | None) -> Solution:
    return solve_linear(
        take_rows(features.train, rows),
        features.targets.take(rows),
        features.loss,
        penalty=penalty,
        seed=features.seed,
    )


def _ask(features: FeatureSet, solution: Solution) -> np.ndarray:
    return features.answer(apply_linear(features.asked, solution.kernel, solution.bias))


def apply_linear(features: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Compute logits (examples, outputs), float32, of possibly memory-mapped features."""
    blocks = [
        np.asarray(features[start : start + 4096], np.float32) @ kernel + bias
        for start in range(0, len(features), 4096)
    ]
    logits: np.ndarray = np.concatenate(blocks)
    return logits
