"""What a task puts on top of a backbone: layers, loss, activation, and what is served."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kft.config import HeadConfig, TrainingConfig
from kft.linear import LinearTargets
from kft.tasks.base import Task
from kft.tasks.pooling import pool

LOGITS = "logits"
# float32 differs between batch sizes and graph rewrites by a few units in the last place.
TOLERANCE = 1e-5
# bfloat16 keeps 8 bits; XLA and eager round in different places.
LOW_PRECISION_TOLERANCE = 5e-2


@dataclass(frozen=True)
class ComparedOutput:
    """An output of an export that must be as the trained model's.

    Attributes:
        name: In the signature.
        units: What a difference is measured in, for each column.
        tolerance: Largest difference allowed, in those units.
        low_precision_tolerance: The same where the model computes in fewer bits than float32.
    """

    name: str
    units: tuple[float, ...]
    tolerance: float = TOLERANCE
    low_precision_tolerance: float = LOW_PRECISION_TOLERANCE


@dataclass(frozen=True)
class Head(ABC):
    """Task layers on top of a backbone, fitted to the names and units of a data set.

    The assembled model gives logits; `activate` makes probabilities or
    standardised numbers of them, and `restore_units` answers of these, in
    evaluation and in the export alike.

    Attributes:
        task: Whose head it is.
        values_output: Of the export: one value of the answer for each name.
        names_output: Of the export: these names.
        other_outputs: All others that `serve` gives.
        plain_signature: Of the export: pixels -> what `activate` gives, under this name too; for
            answers that LiteRT cannot compute. None for no such signature.
        class_names: Name of each output by index.
        config: Pooling, hidden layers, dropout.
    """

    task: ClassVar[Task]
    values_output: ClassVar[str] = "probabilities"
    names_output: ClassVar[str] = "class_names"
    other_outputs: ClassVar[tuple[str, ...]] = ()
    plain_signature: ClassVar[str | None] = None
    class_names: tuple[str, ...]
    config: HeadConfig = field(default_factory=HeadConfig)

    @classmethod
    def fit(
        cls, config: HeadConfig, class_names: tuple[str, ...], train_targets: np.ndarray
    ) -> Head:
        """The head for a data set.

        Args:
            config: The pipeline's `head` section.
            class_names: Name of each output.
            train_targets: Of the training split.
        """
        return cls(class_names=class_names, config=config)

    @property
    def num_logits(self) -> int:
        """Outputs of the last layer."""
        return len(self.class_names)

    @property
    def units(self) -> tuple[float, ...]:
        """What a difference between two answers is measured in, for each output."""
        return (1.0,) * len(self.class_names)

    def build(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Logits (batch, logits) from a feature map (batch, h, w, c) or vector (batch, c)."""
        outputs = pool(features, self.config.pooling)
        for depth, units in enumerate(self.config.hidden, start=1):
            if self.config.dropout:
                outputs = layers.Dropout(self.config.dropout, name=f"head_dropout{depth}")(outputs)
            outputs = layers.Dense(units, activation="relu", name=f"head_hidden{depth}")(outputs)
        if self.config.dropout:
            outputs = layers.Dropout(self.config.dropout, name="head_dropout")(outputs)
        return layers.Dense(
            self.num_logits,
            name=LOGITS,
            # Losses sum many small numbers: logits stay in float32 under a mixed policy.
            dtype="float32",
            # From zero, the first answer is the prior; no random direction has to be unlearned.
            kernel_initializer="zeros",
        )(outputs)

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """Targets in the units that the layers answer in; classes and labels have none."""
        return targets

    def restore_units(self, outputs: Any) -> Any:
        """Answers in the units of the data from what `activate` gives, in an array or a graph."""
        return outputs

    def make_terms(self, training: TrainingConfig, train_targets: np.ndarray) -> Any:
        """What a pipeline adds to the plain loss; of equal terms comes an equal loss.

        Args:
            training: The pipeline's `training` section; `Task.refuse` found nothing in it.
            train_targets: Standardised targets that weights and priors are counted in.

        Raises:
            ConfigError: A class that is to be weighed has no training example.
        """
        return None

    @abstractmethod
    def make_loss(self, terms: Any = None) -> keras.losses.Loss:
        """Loss between standardised targets and logits, with what `make_terms` gave."""

    @abstractmethod
    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Metrics between standardised targets and logits, shown in training."""

    def state_linear(
        self, training: TrainingConfig, terms: Any, targets: np.ndarray
    ) -> LinearTargets:
        """The loss of `make_loss` for `Task.linear`, where that is not None.

        Args:
            training: The pipeline's `training` section.
            terms: As `make_terms` gave them.
            targets: Standardised, of what is learned from.
        """
        return LinearTargets(targets)

    @abstractmethod
    def activate(self, logits: Any) -> Any:
        """Probabilities, or standardised numbers for regression, from logits."""

    def serve(self, outputs: Any) -> dict[str, Any]:
        """Outputs of the export by name, in a graph.

        Args:
            outputs: What `activate` gave, float32 (batch, outputs).
        """
        names = tf.tile(tf.constant(self.class_names)[tf.newaxis], [tf.shape(outputs)[0], 1])
        return {self.values_output: self.restore_units(outputs), self.names_output: names}

    @property
    def compared_outputs(self) -> tuple[ComparedOutput, ...]:
        """What the parity check compares of the export."""
        return (ComparedOutput(self.values_output, self.units),)

    def describe(self) -> dict[str, Any]:
        """What `restore_head` needs to make this head again, as JSON values."""
        return {
            "name": self.task.name,
            "class_names": list(self.class_names),
            "config": self.config.model_dump(mode="json"),
        }
