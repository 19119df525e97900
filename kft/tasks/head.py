"""Base class of heads: layers, loss, activation and outputs of the export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kft.config import HeadConfig, TrainingConfig
from kft.linear import LinearTargets
from kft.tasks.base import Task
from kft.tasks.block_statistics import STATISTICS, BlockStatistics
from kft.tasks.compared_output import ComparedOutput
from kft.tasks.explained_head import ExplainedHead
from kft.tasks.linear_rows import LinearRows
from kft.tasks.pooling import FEATURE_VECTOR, FEATURES, pool

LOGITS = "logits"


@dataclass(frozen=True)
class Head(ExplainedHead, ABC):
    """Task layers on top of a backbone, fitted to the names and units of a data set.

    The assembled model outputs logits. `activate` turns them into
    probabilities or standardised numbers, and `restore_units` turns these into
    answers, in evaluation and export alike.

    Attributes:
        task: Task of the head.
        values_output: Export output with one value of the answer per name.
        names_output: Export output with these names.
        other_outputs: All other outputs of `serve`.
        plain_signature: Name of an export signature, and of its output, from pixels to the result
            of `activate`, for answers that LiteRT cannot compute. None for no such signature.
        class_names: Name of each output.
        config: The pipeline's `head` section: pooling, hidden layers, dropout.
        taps: Blocks below the last whose statistics the head reads too, shallow to deep.
    """

    task: ClassVar[Task]
    values_output: ClassVar[str] = "probabilities"
    names_output: ClassVar[str] = "class_names"
    other_outputs: ClassVar[tuple[str, ...]] = ()
    plain_signature: ClassVar[str | None] = None
    class_names: tuple[str, ...]
    config: HeadConfig = field(default_factory=HeadConfig)
    taps: tuple[str, ...] = ()

    @classmethod
    def fit(
        cls, config: HeadConfig, class_names: tuple[str, ...], train_targets: np.ndarray
    ) -> Head:
        """Make the head for a data set.

        Args:
            config: The pipeline's `head` section.
            class_names: Name of each output.
            train_targets: Targets of the training split.
        """
        return cls(class_names=class_names, config=config)

    def read_levels(self, levels: Mapping[str, int], size: tuple[int, ...]) -> Head:
        """Choose which feature maps of the backbone the head reads; by default its output alone.

        Args:
            levels: Stride of each feature map by the block that ends with it, fine to coarse.
                Empty if the backbone hides its blocks.
            size: Size of the model's input without its channels, such as (height, width).

        Raises:
            ConfigError: The head needs feature maps that the backbone does not have.
        """
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """Outputs of the backbone that `build` takes; see `named_outputs`."""
        return (*self.taps, FEATURES)

    @property
    def vector_layer(self) -> str | None:
        """Name of the layer whose output the trainable layers read; None if they read several."""
        return STATISTICS if self.taps else FEATURE_VECTOR

    @property
    def reads_vectors(self) -> bool:
        """Whether the trainable layers read one vector of each example."""
        return self.vector_layer in (FEATURE_VECTOR, STATISTICS)

    @property
    def units(self) -> tuple[float, ...]:
        """Unit of differences between two answers, for each output."""
        return (1.0,) * len(self.class_names)

    def build(
        self,
        features: Mapping[str, keras.KerasTensor],
        mask: keras.KerasTensor | None = None,
        prefix_tokens: int = 0,
    ) -> keras.KerasTensor:
        """Build logits (batch, logits).

        Args:
            features: The outputs of the backbone in `reads`: maps or sequences (batch, …, c), or
                vectors (batch, c).
            mask: Mask (batch, steps) of sequences, 0 where a step is padding.
            prefix_tokens: See `Backbone.prefix_tokens`; sequences with a class token have no mask.
        """
        outputs = pool(features[FEATURES], self.config.pooling, mask, prefix_tokens)
        if self.taps:
            outputs = self._read_blocks(features, outputs, mask, prefix_tokens)
        for depth, units in enumerate(self.config.hidden, start=1):
            if self.config.dropout:
                outputs = layers.Dropout(self.config.dropout, name=f"head_dropout{depth}")(outputs)
            outputs = layers.Dense(units, activation="relu", name=f"head_hidden{depth}")(outputs)
        if self.config.dropout:
            outputs = layers.Dropout(self.config.dropout, name="head_dropout")(outputs)
        return layers.Dense(
            self.num_logits,
            name=LOGITS,
            # Losses sum many small numbers, so logits are float32 under a mixed policy too.
            dtype="float32",
            # With zeros, the first output is the prior, and there is no random start to unlearn.
            kernel_initializer="zeros",
        )(outputs)

    def _read_blocks(
        self,
        features: Mapping[str, keras.KerasTensor],
        pooled: keras.KerasTensor,
        mask: keras.KerasTensor | None,
        prefix_tokens: int,
    ) -> keras.KerasTensor:
        """Add the statistics of each tap, and the deviations of the last features, to a vector."""
        masked = {} if mask is None else {"padding_mask": mask}
        parts = [
            BlockStatistics(prefix_tokens=prefix_tokens, name=f"{tap}_statistics")(
                features[tap], **masked
            )
            for tap in self.taps
        ]
        parts.append(pooled)
        if len(features[FEATURES].shape) > 2 and not prefix_tokens:
            last = BlockStatistics(with_mean=False, name="last_deviations")
            parts.append(last(features[FEATURES], **masked))
        return layers.Concatenate(name=STATISTICS, dtype="float32")(parts)

    def list_widths(self, model: keras.Model) -> list[list[int]]:
        """List the widths of the statistics that the head reads, by block, shallow to deep.

        Args:
            model: Assembled model of a head with taps.
        """
        widths = [model.get_layer(f"{tap}_statistics").list_widths() for tap in self.taps]
        last = [model.get_layer(FEATURE_VECTOR).output.shape[-1]]
        whole = model.get_layer(STATISTICS).output.shape[-1]
        deviations = whole - sum(map(sum, widths)) - last[0]
        return [*widths, [*last, deviations] if deviations else last]

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """Convert targets to the units of the layers' outputs; classes and labels are unchanged."""
        return targets

    def restore_units(self, outputs: Any) -> Any:
        """Convert outputs of `activate`, an array or tensor, to answers in units of the data."""
        return outputs

    def make_terms(self, training: TrainingConfig, train_targets: np.ndarray) -> Any:
        """Make the terms that a pipeline adds to the plain loss; equal terms mean equal losses.

        Args:
            training: The pipeline's `training` section, already checked by `Task.refuse`.
            train_targets: Standardised targets, from which weights and priors are computed.

        Raises:
            ConfigError: A class that needs a weight or a prior has no training example.
        """
        return None

    @abstractmethod
    def make_loss(self, terms: Any = None) -> keras.losses.Loss:
        """Make the loss between standardised targets and logits, with terms from `make_terms`."""

    @abstractmethod
    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Make the metrics between standardised targets and logits that training shows."""

    def find_rows(
        self, vectors: np.ndarray, targets: np.ndarray, units: np.ndarray | None, *, seed: int
    ) -> LinearRows:
        """Find the rows of the linear problem, by default one for each example.

        Args:
            vectors: Output of `vector_layer` (examples, …), possibly memory-mapped.
            targets: Standardised training targets.
            units: Unit of each example, see `Examples.units`.
            seed: Seed of a sample.
        """
        return LinearRows(vectors, targets, units)

    def state_linear(
        self, training: TrainingConfig, terms: Any, targets: np.ndarray
    ) -> LinearTargets:
        """Express the loss of `make_loss` for `Task.linear`, if that is not None.

        Args:
            training: The pipeline's `training` section.
            terms: Terms from `make_terms`.
            targets: Standardised targets of the rows of `find_rows`.
        """
        return LinearTargets(targets)

    @abstractmethod
    def activate(self, logits: Any) -> Any:
        """Compute probabilities, or standardised numbers for regression, from logits."""

    def find_logits(self, outputs: np.ndarray) -> np.ndarray | None:
        """Find logits that `activate` turns into these outputs; None if they state no probability.

        A head with such logits is divided by a temperature, if there are answers to examples that
        it had not seen.

        Args:
            outputs: Outputs of `activate` (examples, outputs).
        """
        return None

    def condense(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Reduce the answers to a batch to what its figures need (batch, …).

        Dense answers to all examples of a split would not fit into memory. The result stands for
        the outputs wherever `Task.figures` takes them.

        Args:
            outputs: Outputs of `activate`.
            targets: Standardised targets of the batch.
        """
        return outputs

    def place(self, outputs: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Convert answers about the frame of each example to answers about its file.

        Args:
            outputs: Outputs of `activate`, for tasks whose targets are boxes.
            frames: Place of each example in its file (examples, 6).
        """
        return outputs

    def serve(self, outputs: Any, frames: Any = None) -> dict[str, Any]:
        """Make the outputs of the export by name, in a graph.

        Args:
            outputs: Outputs of `activate`, float32 (batch, outputs).
            frames: Place of each example in its file, float32 (batch, 6), as
                `kft.modalities.model_input.FRAME` says, if the targets of the task move with their
                examples. None for examples that were given decoded.
        """
        names = tf.tile(tf.constant(self.class_names)[tf.newaxis], [tf.shape(outputs)[0], 1])
        return {self.values_output: self.restore_units(outputs), self.names_output: names}

    @classmethod
    def find_companion(cls, served: Mapping[str, np.ndarray], row: int) -> np.ndarray | None:
        """Find the dense answer to one example among the outputs of `serve`; None without one.

        Args:
            served: Outputs (batch, …) by name.
            row: Place of the example in the batch.

        Returns:
            A mask uint8 (height, width) in the size of the file, or boxes (boxes, 6): class,
            left, top, right, bottom in the file, and probability.
        """
        return None

    @property
    def compared_outputs(self) -> tuple[ComparedOutput, ...]:
        """Outputs of the export that the parity check compares."""
        return (ComparedOutput(self.values_output, self.units),)

    def describe(self) -> dict[str, Any]:
        """Return the JSON values from which `restore_head` restores the head."""
        return {
            "name": self.task.name,
            "class_names": list(self.class_names),
            "config": self.config.model_dump(mode="json"),
            "taps": list(self.taps),
        }
