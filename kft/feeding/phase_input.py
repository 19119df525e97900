"""Input of a phase: its batches, and the model or the part after a cut that it fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from kft.backbones.graph import call_layers
from kft.data.batches.lengths import has_steps
from kft.features import Forward
from kft.modalities.model_input import PADDING_MASK

Parts = tuple[Forward, keras.Model]
"""Frozen prefix of a model, traced to compute activations, and the model of the layers after it."""


@dataclass(frozen=True)
class Validation:
    """Validation split for evaluation.

    Attributes:
        in_order: All batches, in order.
        own: This process's share of the batches.
        num_batches: Number of all batches.
    """

    in_order: tf.data.Dataset
    own: tf.data.Dataset
    num_batches: int


@dataclass(frozen=True)
class PhaseInput:
    """Model and batches that one phase is fitted on.

    Attributes:
        model: The whole model, or the part after the cut.
        train: Function from the first step to this process's share of the batches from that step
            on, over all epochs of the phase.
        validation: Validation split; None if it is empty or the phase trains on it.
        computed_from: 'inputs', or the name of the cut whose activations are stored.
        parts: Prefix that computed the activations, which the phase does not change, and `model`;
            None if the phase starts from decoded examples and may change every block.
        by_length: Whether batches end where their longest sequence does, so that the model must
            take sequences of any length.
    """

    model: keras.Model
    train: Callable[[int], tf.data.Dataset]
    validation: Validation | None
    computed_from: str
    parts: Parts | None = None
    by_length: bool = False

    @property
    def graph(self) -> tuple[dict[str, keras.KerasTensor], keras.KerasTensor]:
        """Inputs by name and output of `model`, for sequences of any length if `by_length`."""
        given = self.model.input
        if not self.by_length:
            return given, self.model.output
        num_steps = given[PADDING_MASK].shape[1]
        shapes = {
            name: (None, *each.shape[2:]) if has_steps(each, num_steps) else each.shape[1:]
            for name, each in given.items()
        }
        opened = {
            name: keras.Input(shape, dtype=given[name].dtype, name=name)
            for name, shape in shapes.items()
        }
        return opened, call_layers(self.model, opened)

    @property
    def targets(self) -> tf.TensorSpec:
        """Shape and type of the targets of a batch."""
        spec: tf.TensorSpec = self.train(0).element_spec[1]
        return spec


@dataclass(frozen=True)
class FoldFeed:
    """Batches of some of the examples of a phase.

    Attributes:
        train: Function from the indices of examples and a number of steps to a function like
            `PhaseInput.train`, whose batches end after these steps.
        in_order: Function from the indices of examples to batches that cover them once, in order
            and without augmentation.
    """

    train: Callable[[np.ndarray, int], Callable[[int], tf.data.Dataset]]
    in_order: Callable[[np.ndarray], tf.data.Dataset]


@dataclass(frozen=True)
class SolutionInput:
    """Feature vectors that a head is solved on.

    Attributes:
        vectors: Memory-mapped feature vectors (examples, features), whose files are kept as long
            as the feed lives.
        parts: Prefix that computed the vectors, and the head after it.
    """

    vectors: np.ndarray
    parts: Parts
