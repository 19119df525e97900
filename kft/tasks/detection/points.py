"""Points at which a detector answers: the centres of the cells of its feature maps.

Each point has a standard box around it. The layers answer with corrections of it, and its size
tells the size of the point's cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

# Side of a standard box in cells.
# Source: Tan et al., EfficientDet, arXiv:1911.09070, for the scale of its anchors.
SIZE_IN_CELLS = 4.0
# Sizes from 1/55 to 55 times that of the standard box; the exponential stays finite.
_MOST_LOG_SIZE = 4.0
SIDES = 4
"""Columns of a box: left, top, right and bottom, in fractions of the frame, the model's input."""


def standard_boxes(grids: Sequence[tuple[int, int]]) -> np.ndarray:
    """Compute the standard box of each point, float32 (points, 4), fine to coarse, row by row.

    Args:
        grids: Height and width of each feature map, in cells.
    """
    parts = []
    for height, width in grids:
        down, across = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        centres = np.stack([across.ravel() + 0.5, down.ravel() + 0.5], axis=1)
        sides = np.concatenate([centres - SIZE_IN_CELLS / 2, centres + SIZE_IN_CELLS / 2], axis=1)
        parts.append(sides / [width, height, width, height])
    return np.concatenate(parts).astype(np.float32)


@keras.saving.register_keras_serializable(package="kft")
class BoxDecoder(keras.layers.Layer):
    """Boxes of all points, and their standard boxes, in float32.

    Args:
        grids: Height and width of each feature map, in cells.
    """

    def __init__(self, grids: Sequence[Sequence[int]], **options: Any) -> None:
        options["dtype"] = "float32"
        super().__init__(**options)
        self.grids = [(height, width) for height, width in grids]

    def call(self, corrections: Any) -> Any:
        """Decode boxes, which may reach beyond the frame.

        Args:
            corrections: Shifts of the centre in standard sizes, and logarithms of the size relative
                to them (batch, points, 4).

        Returns:
            Sides of the boxes, then those of the standard boxes (batch, points, 8).
        """
        standard = ops.convert_to_tensor(standard_boxes(self.grids))
        sizes = standard[:, 2:] - standard[:, :2]
        centres = (standard[:, :2] + standard[:, 2:]) / 2 + corrections[..., :2] * sizes
        scales = ops.exp(ops.clip(corrections[..., 2:], -_MOST_LOG_SIZE, _MOST_LOG_SIZE))
        halves = scales * sizes / 2
        repeated = ops.zeros_like(corrections) + standard
        return ops.concatenate([centres - halves, centres + halves, repeated], axis=-1)

    def compute_output_shape(self, shape: Any) -> Any:
        """Shape of the output."""
        return (*shape[:-1], 2 * SIDES)

    def get_config(self) -> dict[str, Any]:
        """Configuration from which Keras rebuilds the layer."""
        return {**super().get_config(), "grids": [list(grid) for grid in self.grids]}


def split_logits(logits: Any) -> tuple[Any, Any, Any]:
    """Split the output of a detector.

    Args:
        logits: Output (batch, points, classes + 8).

    Returns:
        Logits of the classes (batch, points, classes), boxes and standard boxes, each (batch,
        points, 4).
    """
    return logits[..., : -2 * SIDES], logits[..., -2 * SIDES : -SIDES], logits[..., -SIDES:]
