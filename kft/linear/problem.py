"""Objective of a linear head, preconditioned by the principal axes of the features."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np

from kft.linear.axes import PrincipalAxes
from kft.linear.folds import find_seen
from kft.linear.losses import LinearLoss, LinearTargets
from kft.linear.minimising import minimise

# Kernels (folds, axes, outputs) along the principal axes and biases (folds, outputs) of centred
# features; or the same of features as given.
State = tuple[np.ndarray, np.ndarray]

# Largest number of rows that are held in memory, rotated to their principal axes. More rows are
# read in blocks.
MAX_HELD = 8_000
# Size of one block of rows: features, or logits of all folds, whichever are more.
_MAX_BLOCK = 8_000_000
# Number of logits whose losses are computed at once, so that they fit into the cache of one core.
_MAX_CACHED = 250_000
# Mean loss per example below which all examples are separated. A tolerance relative to a smaller
# loss would be below rounding errors.
_LEAST_LOSS = 0.01


class Problem:
    """Objective of a linear head over given rows.

    Args:
        features: Features (rows, features) of any float type, possibly memory-mapped.
        targets: Targets of the rows.
        loss: Loss of the logits.
        factors: Factors (features,) on the columns, at least 0, in whose units the kernel is
            penalised: the solution is that for features times factors, but its kernels apply to
            the features as given. None for 1.

    Attributes:
        axes: Principal axes of the features times factors.
        mean: Mean of the features, (features,).
        rotated: Centred rows along the axes, float32 (rows, axes); None if they are too many.
        largest_penalty: Penalty at which the outputs are almost those of the prior.
        work: Number of multiplications in an evaluation of one fold: rows x axes x outputs.
    """

    def __init__(
        self,
        features: np.ndarray,
        targets: LinearTargets,
        loss: LinearLoss,
        *,
        factors: np.ndarray | None = None,
    ) -> None:
        dense, weights, offsets = targets.dense, targets.weights, targets.offsets
        self._loss = loss
        self._targets = dense.astype(np.float32, copy=False)
        self._weights = np.ones((len(dense), 1), np.float32)
        if weights is not None:
            self._weights = weights.astype(np.float32, copy=False)[:, None]
        self._offsets = np.zeros(dense.shape[1], np.float32)
        if offsets is not None:
            self._offsets = offsets.astype(np.float32, copy=False)
        self._features = features
        self.mean = _mean(features)
        self.rotated: np.ndarray | None = None
        self.axes = self._find_axes(factors)
        self.rotated = self.axes.rotated
        if self.rotated is None and len(features) <= MAX_HELD:
            self.rotated = self.axes.rotate(features.astype(np.float32) - self.mean)
        # At this penalty, the outputs are within a tenth of the prior.
        self.largest_penalty = float(self.axes.squares.max()) / 20
        self.work = len(dense) * len(self.axes.squares) * dense.shape[1]

    def __len__(self) -> int:
        return len(self._targets)

    def _find_axes(self, factors: np.ndarray | None) -> PrincipalAxes:
        rows, columns = self._features.shape
        if rows < columns:
            centred = np.asarray(self._features, np.float64) - self.mean
            scaled = centred if factors is None else centred * factors
            return PrincipalAxes(scaled @ scaled.T, factors, centred.astype(np.float32))
        scatter = np.zeros((columns, columns))
        for block, _ in self._blocks(columns):
            scatter += block.T @ block
        if factors is not None:
            scatter *= np.outer(factors, factors)
        return PrincipalAxes(scatter, factors)

    def _blocks(self, width: int) -> Iterator[tuple[np.ndarray, slice]]:
        """Iterate over rotated or centred rows, in blocks that are small with `width` logits each.

        If all rows are held in memory, they are rotated; otherwise they are centred.
        """
        rows, columns = self._features.shape
        step = max(1, _MAX_BLOCK // max(columns, width))
        for begin in range(0, rows, step):
            where = slice(begin, min(begin + step, rows))
            if self.rotated is not None:
                yield self.rotated[where], where
                continue
            yield self._features[where].astype(np.float32) - self.mean, where
            _release_pages(self._features)

    def solve(
        self,
        penalty: float,
        mask: np.ndarray,
        start: State | None,
        *,
        tolerance: float,
    ) -> State:
        """Find kernels and biases along the axes at the optimum.

        Args:
            penalty: Factor on the squared norm.
            mask: Booleans (folds, rows), true for the rows that each fold is fitted on.
            start: Kernels and biases to begin with; None for zero.
            tolerance: Decrease of the objective at which to stop, relative to its value, or to
                the smallest loss that counts as different from zero.
        """
        folds, outputs = len(mask), self._targets.shape[1]
        curvature = self._loss.curvature(outputs)
        scale = (1.0 / np.sqrt(curvature * self.axes.squares + 2 * penalty)).astype(np.float32)
        # A Python float, because a NumPy scalar would convert what follows to float64.
        bias_scale = float(1.0 / np.sqrt(curvature * max(len(self._targets), 1)))
        theta = np.zeros((folds, len(scale) + 1, outputs), np.float32)
        if start is not None:
            kernels, biases = start
            theta[:, :-1] = kernels / scale[:, None]
            theta[:, -1] = biases / bias_scale

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
        return theta[:, :-1] * scale[:, None], theta[:, -1] * bias_scale

    def to_features(self, state: State) -> State:
        """Turn kernels and biases along the axes into those of the features as given."""
        kernels = self.axes.to_features(state[0])
        return kernels, state[1] - self.mean @ kernels

    def from_features(self, state: State) -> State:
        """Turn kernels and biases of the features as given into those along the axes."""
        kernels, biases = state
        return self.axes.from_features(kernels), biases + self.mean @ kernels

    def _evaluate(
        self, along: np.ndarray, shift: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sum losses (folds,) and their gradients by kernels (folds, axes, outputs) and biases."""
        folds, axes, outputs = along.shape
        kernel = along.transpose(1, 0, 2).reshape(axes, folds * outputs)
        if self.rotated is None:
            kernel = self.axes.to_features(kernel)
        losses, slope, bias_slope = np.zeros(folds), np.zeros_like(kernel), np.zeros_like(shift)
        for block, where in self._blocks(folds * outputs):
            part = self._evaluate_block(block, where, kernel, shift, mask)
            losses, slope, bias_slope = losses + part[0], slope + part[1], bias_slope + part[2]
        if self.rotated is None:
            slope = self.axes.rotate(slope.T).T
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

    def predict_out_of_fold(self, state: State, folds: np.ndarray) -> np.ndarray:
        """Compute the logits of each row by the fold that left it out, float32 (rows, outputs).

        Offsets are not added. Rows that no fold left out (-1) get NaN.
        """
        kernels, biases = state
        if self.rotated is None:
            kernels = self.axes.to_features(kernels)
        logits = np.full((len(folds), biases.shape[1]), np.nan, np.float32)
        for rows, where in self._blocks(biases.shape[1]):
            for fold in range(len(kernels)):
                held = np.flatnonzero(folds[where] == fold)
                logits[where.start + held] = rows[held] @ kernels[fold] + biases[fold]
        return logits

    def score(self, logits: np.ndarray, folds: np.ndarray) -> tuple[float, float]:
        """Compute mean loss and score of the examples that a fold left out.

        Examples whose class has no example in the training rows of a fold do not count in the
        loss. The bias of such a class falls without limit, so its loss tells nothing about the
        penalty.

        Args:
            logits: Logits (rows, outputs), as `predict_out_of_fold` returns them.
            folds: Fold (rows,) that left each row out; -1 for none.
        """
        judged = folds >= 0
        scores = self._loss.score(logits[judged], self._targets[judged])
        return self.loss_and_slopes(logits, folds)[0], float(scores.mean())

    def loss_and_slopes(self, logits: np.ndarray, folds: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute the mean loss of `score`, and its gradient by the logits (rows, outputs)."""
        seen = find_seen(self._loss.find_classes(self._targets), folds)
        counts = self._weights[:, 0] * seen.astype(np.float64)
        if not counts.any():
            counts = np.where(folds >= 0, self._weights[:, 0], 0.0)
        counts /= counts.sum()
        slopes = np.where(folds[:, np.newaxis] >= 0, logits + self._offsets, np.float32(0))
        losses = self._loss.replace_by_slopes(slopes[:, np.newaxis], self._targets)[:, 0]
        slopes *= counts[:, np.newaxis]
        return float(losses @ counts), slopes


def take_rows(features: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Copy rows of features into memory, releasing the pages of a memory-mapped file."""
    taken = np.empty((len(rows), *features.shape[1:]), features.dtype)
    step = max(1, _MAX_BLOCK // features.shape[1])
    for begin in range(0, len(rows), step):
        taken[begin : begin + step] = features[rows[begin : begin + step]]
        _release_pages(features)
    return taken


def _mean(features: np.ndarray) -> np.ndarray:
    total = np.zeros(features.shape[1])
    step = max(1, _MAX_BLOCK // features.shape[1])
    for begin in range(0, len(features), step):
        total += features[begin : begin + step].sum(axis=0, dtype=np.float64)
        _release_pages(features)
    return (total / len(features)).astype(np.float32)


def _release_pages(features: Any) -> None:
    """Release the pages of a memory-mapped file, since they count as memory of this process."""
    mapped = getattr(features, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)
