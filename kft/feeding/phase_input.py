"""The value that a phase is fitted on: a model, or the part after a cut, and its batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import tensorflow as tf


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
    """

    model: keras.Model
    train: Callable[[int], tf.data.Dataset]
    validation: Validation | None
    computed_from: str

    @property
    def targets(self) -> tf.TensorSpec:
        """Shape and type of those of a batch."""
        spec: tf.TensorSpec = self.train(0).element_spec[1]
        return spec
