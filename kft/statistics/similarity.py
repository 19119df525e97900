"""Similarity of two sets of features of the same examples."""

from __future__ import annotations

import numpy as np


def linear_cka(before: np.ndarray, after: np.ndarray) -> float | None:
    """Linear centred kernel alignment: 1 for features that agree up to rotation and scale.

    >>> turned = np.eye(3)[[1, 2, 0]]
    >>> round(linear_cka(np.diag([1.0, 2.0, 3.0]), np.diag([1.0, 2.0, 3.0]) @ turned), 6)
    1.0

    Args:
        before: Features (examples, channels).
        after: Other features of the same examples (examples, any channels).

    Returns:
        The alignment in [0, 1]; None if either does not vary.

    Source: Kornblith et al., Similarity of Neural Network Representations, arXiv:1905.00414.
    """
    # Products of examples, of which there are fewer than channels.
    kernels = []
    for features in (before, after):
        centred = features.astype(np.float64) - features.mean(axis=0)
        kernels.append(centred @ centred.T)
    sizes = [np.linalg.norm(kernel) for kernel in kernels]
    if not all(sizes):
        return None
    return float(np.sum(kernels[0] * kernels[1]) / (sizes[0] * sizes[1]))
