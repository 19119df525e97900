"""Principal axes of features, and kernels along them."""

from __future__ import annotations

import numpy as np

# Axes with a smaller share of the largest scatter are rounding errors, which later steps would
# divide by.
_LEAST_SCATTER = 1e-9


class PrincipalAxes:
    """Principal axes of centred features times factors.

    With fewer rows than columns, the axes are combinations of the rows, and are not written out:
    the features of some thousand rows times their number would be the largest matrix of all.

    Args:
        scatter: Products of the columns with each other (columns, columns), or, with `rows`, of
            the rows (rows, rows); both of centred features times factors.
        factors: Factors (features,) on the columns, at least 0; None for 1.
        rows: Centred features, float32 (rows, features), without factors; None if `scatter` is
            that of the columns.

    Attributes:
        squares: Scatter along each axis, (axes,).
        rotated: The rows along the axes, float32 (rows, axes); None without `rows`.
    """

    def __init__(
        self, scatter: np.ndarray, factors: np.ndarray | None, rows: np.ndarray | None = None
    ) -> None:
        self.squares, basis = _find_axes(scatter)
        self.rotated: np.ndarray | None = None
        self._rows = rows
        self._factors = np.float32(1) if factors is None else _column(factors)
        if rows is not None:
            spread = np.sqrt(self.squares)
            self.rotated = (basis * spread).astype(np.float32)
            basis = basis / spread
        self._basis = basis.astype(np.float32)

    def to_features(self, along: np.ndarray) -> np.ndarray:
        """Map kernels along the axes (…, axes, outputs) to kernels of the features as given."""
        kernels: np.ndarray = self._basis @ along
        if self._rows is None:
            return self._factors * kernels
        return self._factors**2 * (self._rows.T @ kernels)

    def from_features(self, kernels: np.ndarray) -> np.ndarray:
        """Map kernels of the features (…, features, outputs) to kernels along the axes."""
        if self._rows is not None:
            along: np.ndarray = self._basis.T @ (self._rows @ kernels)
            return along
        # A column whose factor is 0 has no kernel.
        return self._basis.T @ (kernels / np.where(self._factors > 0, self._factors, 1))

    def rotate(self, centred: np.ndarray) -> np.ndarray:
        """Map centred rows (rows, features) to their places along the axes (rows, axes)."""
        along: np.ndarray = (centred * self._factors.T) @ self._basis
        return along


def _find_axes(symmetric: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute eigenvalues and eigenvectors, without those of no extent."""
    values, vectors = np.linalg.eigh(symmetric)
    largest = values.max()
    kept = values > largest * _LEAST_SCATTER if largest > 0 else np.zeros(len(values), bool)
    kept[-1] = True
    return np.maximum(values[kept], 1e-12), vectors[:, kept]


def _column(factors: np.ndarray) -> np.ndarray:
    return factors.astype(np.float32)[:, np.newaxis]
