"""Model -> outputs for every example of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from kft.features import Forward, SelectedEngine, select_engine

# What the parity check allows between an export and the trained model.
_TOLERANCE = 1e-5


class Predictor:
    """Gives a model's outputs for every example of a split; one engine computes all of them.

    Over many files it is LiteRT where that gives Keras's outputs to within what the parity check
    of an export allows; over few it is Keras.

    Args:
        answers: Inputs -> probabilities or standardised numbers, of a model that trains no
            further.
        num_examples: How many will be asked for in all.
        engine: 'keras' for Keras whatever the number; anything else is as 'auto'.
    """

    def __init__(self, answers: Forward, *, num_examples: int, engine: str = "auto") -> None:
        self._answers = answers
        self._num_examples = num_examples
        self._engine = "keras" if engine == "keras" else "auto"
        self._selected: SelectedEngine | None = None

    def __call__(
        self,
        batches: Iterable[tf.Tensor | tuple[tf.Tensor, ...]],
        *,
        num_examples: int,
        progress: Callable[[int, int], None],
    ) -> np.ndarray:
        """Probabilities, or standardised numbers (examples, outputs), in order.

        `Head.restore_units` gives numbers their units.

        Args:
            batches: Of inputs, or of (inputs, targets).
            num_examples: How many there are.
            progress: Told how many are done of how many.
        """
        outputs = []
        done = 0
        for batch in batches:
            inputs = batch[0] if isinstance(batch, tuple) else batch
            if self._selected is None:
                self._selected = select_engine(
                    self._answers,
                    inputs,
                    engine=self._engine,
                    num_examples=self._num_examples,
                    tolerance=_TOLERANCE,
                )
            outputs.append(self._selected(inputs))
            done += len(outputs[-1])
            progress(done, num_examples)
        return np.concatenate(outputs)
