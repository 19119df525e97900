"""The value that this room hands on: a `Head`, which turns features into answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers

from kft.config import HeadConfig
from kft.heads.losses import LossTerms

FEATURE_VECTOR = "feature_vector"
LOGITS = "logits"
PLAIN = LossTerms()


@dataclass(frozen=True)
class Head(ABC):
    """Task layers on top of a backbone, with their loss and metrics.

    The assembled model gives logits; `activate` makes probabilities or
    standardised numbers of them, and `restore_units` answers of these, in
    evaluation and in the export alike.

    Attributes:
        class_names: Name of each output by index.
        config: Pooling, hidden layers, dropout.
    """

    name: ClassVar[str]
    target_kind: ClassVar[str]
    class_names: tuple[str, ...]
    config: HeadConfig = field(default_factory=HeadConfig)

    @property
    def units(self) -> tuple[float, ...]:
        """What a difference between two answers is measured in, for each output."""
        return (1.0,) * len(self.class_names)

    def build(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Logits (batch, outputs) from a feature map (batch, h, w, c) or vector (batch, c)."""
        outputs = pool(features, self.config.pooling)
        for depth, units in enumerate(self.config.hidden, start=1):
            if self.config.dropout:
                outputs = layers.Dropout(self.config.dropout, name=f"head_dropout{depth}")(outputs)
            outputs = layers.Dense(units, activation="relu", name=f"head_hidden{depth}")(outputs)
        if self.config.dropout:
            outputs = layers.Dropout(self.config.dropout, name="head_dropout")(outputs)
        return layers.Dense(
            len(self.class_names),
            name=LOGITS,
            # Losses sum many small numbers: logits stay in float32 under a mixed policy.
            dtype="float32",
            # From zero, the first answer is the prior and no random direction is to be unlearnt.
            kernel_initializer="zeros",
        )(outputs)

    def standardise(self, targets: np.ndarray) -> np.ndarray:
        """Targets in the units that the layers answer in; classes and labels have none."""
        return targets

    def restore_units(self, outputs: Any) -> Any:
        """Answers in the units of the data from what `activate` gives, in an array or a graph."""
        return outputs

    @abstractmethod
    def make_loss(self, terms: LossTerms = PLAIN) -> keras.losses.Loss:
        """Loss between standardised targets and logits; `kft.objectives` makes the terms."""

    @abstractmethod
    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Metrics between standardised targets and logits, shown in training."""

    @abstractmethod
    def activate(self, logits: Any) -> Any:
        """Probabilities, or standardised numbers for regression, from logits."""

    def describe(self) -> dict[str, Any]:
        """What `restore_head` needs to make this head again, as JSON values."""
        return {
            "name": self.name,
            "class_names": list(self.class_names),
            "config": self.config.model_dump(mode="json"),
        }


def pool(features: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """The feature vector (batch, c) of a feature map; a vector passes unchanged.

    The result always comes from a layer named 'feature_vector', which is
    where the stored prefix of a linear probe ends.
    """
    if len(features.shape) == 2:
        return layers.Identity(name=FEATURE_VECTOR)(features)
    if pooling == "avg":
        return layers.GlobalAveragePooling2D(name=FEATURE_VECTOR)(features)
    if pooling == "max":
        return layers.GlobalMaxPooling2D(name=FEATURE_VECTOR)(features)
    average = layers.GlobalAveragePooling2D(name="average_pool")(features)
    maximum = layers.GlobalMaxPooling2D(name="max_pool")(features)
    return layers.Concatenate(name=FEATURE_VECTOR)([average, maximum])
