"""Outputs of a model for every example of a split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from kft.features import OUTPUT, Forward, SelectedEngine, select_engine

# Tolerance of the parity check between an export and the trained model.
_TOLERANCE = 1e-5


class Predictor:
    """Predictor of a model's outputs, which a single engine computes for all examples.

    For many examples the engine is LiteRT, if its outputs equal those of Keras within the
    tolerance of the parity check. For few examples it is Keras.

    Args:
        answers: Forward pass from inputs to probabilities or standardised numbers, of a model
            that is not trained any further.
        num_examples: Total number of examples to predict.
        engine: 'keras' for Keras in any case; any other value means 'auto'.
    """

    def __init__(self, answers: Forward, *, num_examples: int, engine: str = "auto") -> None:
        self._answers = answers
        self._num_examples = num_examples
        self._engine = "keras" if engine == "keras" else "auto"
        self._selected: SelectedEngine | None = None

    def __call__(
        self,
        batches: Iterable[Any],
        *,
        num_examples: int,
        progress: Callable[[int, int], None],
        condense: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    ) -> np.ndarray:
        """Predict probabilities, or standardised numbers (examples, outputs), in order.

        `Head.restore_units` converts standardised numbers to their units.

        Args:
            batches: Batches of inputs by name, or of (inputs, targets).
            num_examples: Number of examples in the batches.
            progress: Called with the number of examples done and in total.
            condense: See `Head.condense`; None to keep the outputs whole.
        """
        outputs = []
        done = 0
        for batch in batches:
            inputs, targets = batch if isinstance(batch, tuple) else (batch, None)
            if self._selected is None:
                self._selected = select_engine(
                    self._answers,
                    inputs,
                    engine=self._engine,
                    num_examples=self._num_examples,
                    tolerance=_TOLERANCE,
                )
            answers = self._selected(inputs)[OUTPUT]
            if condense is not None and targets is not None:
                answers = condense(answers, targets.numpy())
            outputs.append(answers)
            done += len(outputs[-1])
            progress(done, num_examples)
        return np.concatenate(outputs)
