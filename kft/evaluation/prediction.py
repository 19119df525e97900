"""Model -> outputs for every example of a split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from kft.config import FeaturesConfig
from kft.features import Chosen, Forward, choose_engine

# What the parity gate allows between an export and the trained model.
_TOLERANCE = 1e-5


class Predictor:
    """Gives a model's outputs for every example of a split; one engine computes all of them.

    Over many files it is the fastest engine that gives Keras's outputs to within what the parity
    gate of an export allows; over few it is Keras.

    Args:
        answers: Pixels -> probabilities or standardised numbers, of a model that trains no further.
        num_examples: How many will be asked for in all.
        engine: 'keras' for Keras whatever the number; anything else is as 'auto'.
    """

    def __init__(self, answers: Forward, *, num_examples: int, engine: str = "auto") -> None:
        self._answers = answers
        self._num_examples = num_examples
        # Never bfloat16: without a judge `auto` does not take it.
        self._config = FeaturesConfig(engine="keras" if engine == "keras" else "auto")
        self._chosen: Chosen | None = None

    def __call__(
        self,
        batches: tf.data.Dataset,
        *,
        num_examples: int,
        progress: Callable[[int, int], None],
    ) -> np.ndarray:
        """Probabilities, or standardised numbers (examples, outputs), in order.

        `Head.restore_units` gives numbers their units.

        Args:
            batches: Of pixels, or of (pixels, targets).
            num_examples: How many there are.
            progress: Told how many are done of how many.
        """
        outputs = []
        done = 0
        for batch in batches:
            pixels = batch[0] if isinstance(batch, tuple) else batch
            if self._chosen is None:
                self._chosen = choose_engine(
                    self._answers,
                    pixels,
                    config=self._config,
                    num_examples=self._num_examples,
                    tolerance=_TOLERANCE,
                )
            outputs.append(self._chosen(pixels))
            done += len(outputs[-1])
            progress(done, num_examples)
        return np.concatenate(outputs)
