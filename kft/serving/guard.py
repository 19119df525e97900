"""Guard of an export: whether an answer is sure, and whether its input looks like training's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kft.tasks.compared_output import ComparedOutput

# Distances sum many squares, so they differ more between graphs than probabilities do.
_TOLERANCE = 1e-3
_LOW_PRECISION_TOLERANCE = 0.5


@dataclass(frozen=True, eq=False)
class Guard:
    """Threshold and familiarity that an export has beside its model.

    Attributes:
        confidence: Least probability of a sure answer; above 1 if none is sure.
        centres: Centres of training features after whitening (centres, directions).
        whitening: Matrix (features, directions).
        limit: Distance beyond which an input looks like nothing that was seen.
    """

    confidence: float
    centres: np.ndarray
    whitening: np.ndarray
    limit: float

    def serve(self, features: Any, outputs: Any, names: tuple[str, ...]) -> dict[str, Any]:
        """Make the outputs of the export by name, in a graph.

        Args:
            features: Feature vectors (batch, features).
            outputs: Probabilities (batch, names).
            names: Name of each output.
        """
        placed = tf.cast(features, tf.float32) @ tf.constant(self.whitening, tf.float32)
        offsets = placed[:, tf.newaxis] - tf.constant(self.centres, tf.float32)
        squares = tf.reduce_min(tf.reduce_sum(tf.square(offsets), axis=2), axis=1)
        distances = tf.sqrt(squares) / self.limit
        return {
            "answer": tf.gather(tf.constant(names), tf.argmax(outputs, axis=-1)),
            "is_sure": tf.reduce_max(outputs, axis=-1) >= self.confidence,
            "unfamiliarity": distances,
            "looks_unfamiliar": distances > 1.0,
        }

    @property
    def compared_outputs(self) -> tuple[ComparedOutput, ...]:
        """Outputs that the parity check compares."""
        return (
            ComparedOutput("is_sure", (1.0,), 0.0, 1.0),
            ComparedOutput("unfamiliarity", (1.0,), _TOLERANCE, _LOW_PRECISION_TOLERANCE),
            ComparedOutput("looks_unfamiliar", (1.0,), 0.0, 1.0),
        )
