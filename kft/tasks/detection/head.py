"""Head of detection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.errors import ConfigError
from kft.tasks.base import Task
from kft.tasks.detection.decoding import find_answers
from kft.tasks.detection.losses import BoxOverlap, DetectionLoss
from kft.tasks.detection.pyramid import build_answers, build_pyramid
from kft.tasks.detection.task import Detection
from kft.tasks.detection.weights import balanced_weights
from kft.tasks.head import LOGITS, Head
from kft.tasks.loss_terms import PLAIN, LossTerms, make_terms

# Finest map that is read, relative to the coarsest: finer ones cost most, and show edges.
_FINENESS = 4


@dataclass(frozen=True)
class DetectionHead(Head):
    """Head of detection: a pyramid of feature maps, with an answer at each of their cells.

    Attributes:
        levels: Blocks of the backbone whose ends are read, fine to coarse.
    """

    task: ClassVar[Task] = Detection()
    values_output: ClassVar[str] = "scores"
    names_output: ClassVar[str] = "classes"
    other_outputs: ClassVar[tuple[str, ...]] = ("boxes", "num_boxes")
    levels: tuple[str, ...] = ()

    def read_levels(self, levels: Mapping[str, int], size: tuple[int, ...]) -> DetectionHead:
        """Choose the coarsest map, and the finer ones down to a quarter of its stride."""
        coarsest = max(levels.values(), default=0)
        chosen = tuple(name for name, stride in levels.items() if stride * _FINENESS >= coarsest)
        if not chosen or coarsest < 2:
            raise ConfigError(
                "backbone.name: detection reads feature maps, but this backbone shows none. Choose "
                "one of `kft backbones` with blocks of several strides; a hub module hides them."
            )
        return replace(self, levels=chosen)

    @property
    def reads(self) -> tuple[str, ...]:
        """Ends of the chosen blocks."""
        return self.levels

    @property
    def vector_layer(self) -> None:
        """None, since the layers read several maps."""
        return None

    def build(
        self, features: Mapping[str, keras.KerasTensor], mask: keras.KerasTensor | None = None
    ) -> keras.KerasTensor:
        """Build the output of every point (batch, points, classes + 8).

        Args:
            features: Maps (batch, h, w, c) by block.
            mask: Not used, since maps are not padded.
        """
        pyramid = build_pyramid([features[name] for name in self.levels])
        return build_answers(pyramid, len(self.class_names), LOGITS)

    def make_terms(self, training: TrainingConfig, train_targets: np.ndarray) -> LossTerms:
        """Make the terms: class weights."""
        names = self.class_names
        return make_terms(training, names, lambda: balanced_weights(names, train_targets))

    def make_loss(self, terms: LossTerms = PLAIN) -> keras.losses.Loss:
        """Make the loss of the answers at all points."""
        return DetectionLoss(terms.class_weights)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Make the overlap of the boxes."""
        return [BoxOverlap()]

    def activate(self, logits: Any) -> Any:
        """Find the answers, surest first (batch, answers, 6); see `find_answers`."""
        return find_answers(logits)

    def serve(self, outputs: Any, frames: Any = None) -> dict[str, Any]:
        """Make the outputs of the export.

        Returns:
            `boxes` (batch, answers, 4): left, top, right and bottom in pixels of the upright file,
            or, without frames, in fractions of the frame; `scores` and `classes` (batch, answers);
            and `num_boxes` (batch,), of which the first are answers.
        """
        codes, sides, scores = outputs[..., 0], outputs[..., 1:5], outputs[..., 5]
        names = tf.constant(("", *self.class_names))
        return {
            "boxes": sides if frames is None else place_in_file(sides, frames),
            self.values_output: scores,
            self.names_output: tf.gather(names, tf.cast(codes, tf.int32) + 1),
            "num_boxes": tf.reduce_sum(tf.cast(codes >= 0, tf.int32), axis=1),
        }


def place_in_file(sides: Any, frames: Any) -> Any:
    """Convert sides in fractions of the frame to pixels of the upright file, cut at its edge.

    Args:
        sides: Left, top, right and bottom (batch, answers, 4).
        frames: Place of each example in its file (batch, 6); see `model_input.FRAME`.
    """
    height, width, top, left, bottom, right = tf.unstack(frames[:, tf.newaxis], axis=-1)
    size = tf.stack([width, height, width, height], axis=-1)
    start = tf.stack([left, top, left, top], axis=-1)
    extent = tf.stack([right - left, bottom - top, right - left, bottom - top], axis=-1)
    return tf.clip_by_value(start + sides * extent, 0.0, 1.0) * size
