"""The value that a phase is fitted on: a model, or the part after a cut, and its batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from kft.features import Forward

Parts = tuple[Forward, keras.Model]
"""The frozen prefix of a model, traced for its activations, and the model of what follows it."""


@dataclass(frozen=True)
class Validation:
    """The validation split, as it is judged.

    Attributes:
        in_order: All batches.
        own: This process's part of them.
        num_batches: How many they are.
    """

    in_order: tf.data.Dataset
    own: tf.data.Dataset
    num_batches: int


@dataclass(frozen=True)
class PhaseInput:
    """What one phase is fitted on.

    Attributes:
        model: The whole model, or the part after the cut.
        train: First step -> this process's part of the batches from there on, over all epochs of
            the phase.
        validation: The validation split, or None where there is none or it is learnt from.
        computed_from: 'pixels', or the name of the cut whose activations are stored.
        parts: The prefix that gave the activations, which the phase leaves as it is, and `model`;
            None where the phase starts from pixels and may change every block.
    """

    model: keras.Model
    train: Callable[[int], tf.data.Dataset]
    validation: Validation | None
    computed_from: str
    parts: Parts | None = None

    @property
    def targets(self) -> tf.TensorSpec:
        """Shape and type of those of a batch."""
        spec: tf.TensorSpec = self.train(0).element_spec[1]
        return spec


@dataclass(frozen=True)
class SolutionInput:
    """What a head is solved on.

    Attributes:
        vectors: Feature vectors (examples, features), memory-mapped; their files stay as long as
            the feed lives.
        parts: The prefix that gave them, and the head after it.
    """

    vectors: np.ndarray
    parts: Parts
