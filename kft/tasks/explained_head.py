"""Part of a head that tells which of its outputs are explained, and how much speaks for them."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from kft.tasks.base import Task


class ExplainedPart(NamedTuple):
    """Part of an answer that is explained.

    Attributes:
        name: Class, label or number.
        value: The model's value for it, in the unit of the answer.
        direction: Array of the shape of an example's logits: `ExplainedHead.score` of both grows
            with what speaks for the part.
    """

    name: str
    value: float
    direction: np.ndarray


class ExplainedHead:
    """Directions in the logits, of which an explanation finds the cause in the example."""

    task: ClassVar[Task]
    class_names: tuple[str, ...]

    @property
    def num_logits(self) -> int:
        """Number of outputs of the last layer."""
        return len(self.class_names)

    def find_explained(self, outputs: np.ndarray) -> list[ExplainedPart]:
        """Find the parts of an answer that are explained, by default each value that is chosen.

        Args:
            outputs: Outputs of `activate` for one example (outputs,).
        """
        values = dict(zip(self.class_names, outputs.tolist(), strict=True))
        chosen = self.task.choose(values) or [max(values, key=values.__getitem__)]
        places = [self.class_names.index(name) for name in chosen]
        return [
            ExplainedPart(
                self.class_names[place], float(outputs[place]), self._make_direction(place, outputs)
            )
            for place in places
        ]

    def _make_direction(self, place: int, outputs: np.ndarray) -> np.ndarray:
        direction = np.zeros(self.num_logits, np.float32)
        direction[place] = 1.0
        return direction

    def score(self, logits: Any, directions: Any) -> Any:
        """Compute the explained part of each answer, float32 (batch,), in a graph.

        Args:
            logits: Logits of the model (batch, …).
            directions: Directions from `find_explained`, of the same shape.
        """
        return tf.reduce_sum(logits * directions, axis=list(range(1, len(logits.shape))))
