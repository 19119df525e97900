"""The objective of a linear head over some rows, in coordinates in which it is nearly round."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

from kft.linear.losses import LinearLoss
from kft.linear.minimising import minimise

# (folds, features, outputs) kernels and (folds, outputs) biases.
State = tuple[np.ndarray, np.ndarray]

# Up to so many rows are held in memory, turned to their own axes; more are read in blocks.
MAX_HELD = 8_000
# Numbers of one block of rows: features, or logits of all folds, whichever are more.
_MAX_BLOCK = 8_000_000
# Logits whose losses are computed at once: what the cache of one core holds.
_MAX_CACHED = 250_000
# Mean loss of an example below which all are told apart: a share of less would be of rounding.
_LEAST_LOSS = 0.01


class Problem:
    """The objective over some rows.

    Args:
        features: (rows, features), of any float type, possibly memory-mapped.
        targets: Dense (rows, outputs).
        loss: Of the logits.
        weights: (rows,) factor on each row's loss.
        offsets: (outputs,) added to the logits in the loss.

    Attributes:
        largest_penalty: One at which the solution is almost the prior's answer.
        work: Products of one row, axis and output in an evaluation of one fold.
    """

    def __init__(
        self,
        features: np.ndarray,
        targets: np.ndarray,
        loss: LinearLoss,
        weights: np.ndarray,
        offsets: np.ndarray,
    ) -> None:
        self._loss = loss
        self._targets = targets.astype(np.float32, copy=False)
        self._weights = weights.astype(np.float32, copy=False)[:, None]
        self._offsets = offsets.astype(np.float32, copy=False)
        self._features = features
        self._mean = _mean(features)
        self._rotate()

    def _rotate(self) -> None:
        """Axes along which the features spread, and how far."""
        rows, columns = self._features.shape
        self._rotated: np.ndarray | None = None
        if rows < columns:
            centred = np.asarray(self._features, np.float64) - self._mean
            squares, basis = _eigen(centred @ centred.T)
            spread = np.sqrt(squares)
            self._axes = (centred.T @ (basis / spread)).astype(np.float32)
            self._rotated = (basis * spread).astype(np.float32)
        else:
            scatter = np.zeros((columns, columns))
            for block, _ in self._blocks(columns):
                scatter += block.T @ block
            squares, basis = _eigen(scatter)
            self._axes = basis.astype(np.float32)
            if rows <= MAX_HELD:
                self._rotated = (self._features.astype(np.float32) - self._mean) @ self._axes
        self._squares = squares
        # Here the solution is within a tenth of the prior's answer.
        self.largest_penalty = float(squares.max()) / 20
        self.work = rows * len(squares) * self._targets.shape[1]

    def _blocks(self, width: int) -> Iterator[tuple[np.ndarray, slice]]:
        """Rows, turned or centred, in blocks that stay small, beside `width` logits a row."""
        rows, columns = self._features.shape
        step = max(1, _MAX_BLOCK // max(columns, width))
        for begin in range(0, rows, step):
            where = slice(begin, min(begin + step, rows))
            if self._rotated is not None:
                yield self._rotated[where], where
                continue
            yield self._features[where].astype(np.float32) - self._mean, where
            _let_go(self._features)

    def solve(
        self,
        penalty: float,
        mask: np.ndarray,
        start: State | None,
        *,
        tolerance: float,
    ) -> State:
        """Kernels (folds, features, outputs) and biases (folds, outputs) at the optimum.

        Args:
            penalty: Factor on the squared norm.
            mask: (folds, rows): which rows each fold is fitted on.
            start: Kernels and biases to begin with.
            tolerance: Change of the objective at which to stop, relative to its value and to
                the least loss of the examples that is worth telling from zero.
        """
        folds, outputs = len(mask), self._targets.shape[1]
        curvature = self._loss.curvature(outputs)
        scale = (1.0 / np.sqrt(curvature * self._squares + 2 * penalty)).astype(np.float32)
        # A Python number: one of NumPy's would turn all that follows into float64.
        bias_scale = float(1.0 / np.sqrt(curvature * max(len(self._targets), 1)))
        theta = np.zeros((folds, len(scale) + 1, outputs), np.float32)
        if start is not None:
            kernels, biases = start
            theta[:, :-1] = (self._axes.T @ kernels) / scale[:, None]
            theta[:, -1] = (biases + self._mean @ kernels) / bias_scale

        def objective(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            along = values[:, :-1] * scale[:, None]
            losses, slope, bias_slope = self._evaluate(along, values[:, -1] * bias_scale, mask)
            losses += penalty * np.vecdot(along, along).sum(axis=1, dtype=np.float64)
            gradient = np.empty_like(values)
            along *= 2 * penalty
            along += slope
            np.multiply(along, scale[:, None], out=gradient[:, :-1])
            gradient[:, -1] = bias_slope * bias_scale
            return losses, gradient

        theta = minimise(objective, theta, tolerance, floor=_LEAST_LOSS * len(self._targets))
        kernels = self._axes @ (theta[:, :-1] * scale[:, None])
        biases = theta[:, -1] * bias_scale - self._mean @ kernels
        return kernels, biases

    def _evaluate(
        self, along: np.ndarray, shift: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums of losses (folds,), their slopes by kernels (folds, axes, outputs) and biases."""
        folds, axes, outputs = along.shape
        kernel = along.transpose(1, 0, 2).reshape(axes, folds * outputs)
        if self._rotated is None:
            kernel = self._axes @ kernel
        losses, slope, bias_slope = np.zeros(folds), np.zeros_like(kernel), np.zeros_like(shift)
        for block, where in self._blocks(folds * outputs):
            part = self._evaluate_block(block, where, kernel, shift, mask)
            losses, slope, bias_slope = losses + part[0], slope + part[1], bias_slope + part[2]
        if self._rotated is None:
            slope = self._axes.T @ slope
        return losses, slope.reshape(axes, folds, outputs).transpose(1, 0, 2), bias_slope

    def _evaluate_block(
        self,
        rows: np.ndarray,
        where: slice,
        kernel: np.ndarray,
        shift: np.ndarray,
        mask: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        folds, outputs = shift.shape
        counts = mask[:, where].T * self._weights[where]
        targets, offsets = self._targets[where], shift + self._offsets
        residuals = (rows @ kernel).reshape(len(rows), folds, outputs)
        totals, bias_slope = np.zeros(folds), np.zeros_like(shift)
        step = max(1, _MAX_CACHED // (folds * outputs))
        for begin in range(0, len(rows), step):
            part = slice(begin, begin + step)
            few = residuals[part]
            few += offsets
            losses = self._loss.replace_by_slopes(few, targets[part])
            few *= counts[part, :, np.newaxis]
            totals += (losses * counts[part]).sum(axis=0, dtype=np.float64)
            bias_slope += few.sum(axis=0)
        return totals, rows.T @ residuals.reshape(len(rows), -1), bias_slope

    def judge(self, state: State, folds: np.ndarray) -> tuple[float, float]:
        """Mean loss and score of the examples, each by the fold that left it out.

        A class without an example in the rows of a fold is left out of the loss: its bias falls
        without end, and how far it came would say nothing of the penalty.
        """
        kernels, biases = state
        losses, counts, scores = (np.zeros(len(folds)) for _ in range(3))
        for fold in range(int(folds.max()) + 1):
            rows = np.flatnonzero(folds == fold)
            logits = self._features[rows].astype(np.float32) @ kernels[fold] + biases[fold]
            targets = self._targets[rows]
            scores[rows] = self._loss.score(logits, targets)
            logits += self._offsets
            losses[rows] = self._loss.replace_by_slopes(logits[:, np.newaxis], targets)[:, 0]
            counts[rows] = self._weights[rows, 0] * self._is_seen(rows, folds != fold)
        judged = folds >= 0
        if not counts.any():
            counts[judged] = self._weights[judged, 0]
        return float(losses @ counts / counts.sum()), float(scores[judged].mean())

    def _is_seen(self, rows: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """Whether some row of those seen has the class of each of the rows."""
        classes = self._loss.find_classes(self._targets)
        if classes is None:
            return np.ones(len(rows), bool)
        return np.isin(classes[rows], classes[seen])


def _eigen(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and vectors of a scatter matrix, without the directions of no extent."""
    values, vectors = np.linalg.eigh(symmetric)
    # What is left of rounding would be divided by.
    kept = values > values.max() * 1e-9 if values.max() > 0 else np.zeros(len(values), bool)
    kept[-1] = True
    return np.maximum(values[kept], 1e-12), vectors[:, kept]


def take_rows(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The features of some rows, in memory; the pages of a mapped file are given back."""
    taken = np.empty((len(rows), *features.shape[1:]), features.dtype)
    step = max(1, _MAX_BLOCK // features.shape[1])
    for begin in range(0, len(rows), step):
        taken[begin : begin + step] = features[rows[begin : begin + step]]
        _let_go(features)
    return taken


def _mean(features: np.ndarray) -> np.ndarray:
    total = np.zeros(features.shape[1])
    step = max(1, _MAX_BLOCK // features.shape[1])
    for begin in range(0, len(features), step):
        total += features[begin : begin + step].sum(axis=0, dtype=np.float64)
        _let_go(features)
    return (total / len(features)).astype(np.float32)


def _let_go(features: Any) -> None:
    """Give the pages of a mapped file back: they count as memory of this process."""
    mapped = getattr(features, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)
