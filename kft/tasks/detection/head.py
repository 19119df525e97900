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
from kft.tasks.compared_output import ComparedOutput
from kft.tasks.detection.answers import choose_answers
from kft.tasks.detection.decoding import find_answers
from kft.tasks.detection.losses import BoxOverlap, DetectionLoss
from kft.tasks.detection.pyramid import build_answers, build_pyramid
from kft.tasks.detection.task import Detection
from kft.tasks.detection.weights import balanced_weights
from kft.tasks.explained_head import ExplainedPart
from kft.tasks.head import LOGITS, Head
from kft.tasks.loss_terms import PLAIN, LossTerms, make_terms

# Finest map that is read, relative to the coarsest: finer ones cost most, and show edges.
_FINENESS = 4


# Answers of a lower score may come and go with rounding, so they need not be the same.
_LEAST_COMPARED = 0.05
# A tenth of a pixel in files of this many pixels is the tolerance of sides.
_SIDE_UNIT = 1000.0
_BOX_TOLERANCE = 1e-4
BOXES_OUTPUT, COUNT_OUTPUT = "boxes", "num_boxes"


@dataclass(frozen=True)
class DetectionHead(Head):
    """Head of detection: a pyramid of feature maps, with an answer at each of their cells.

    Attributes:
        levels: Blocks of the backbone whose ends are read, fine to coarse.
    """

    task: ClassVar[Task] = Detection()
    other_outputs: ClassVar[tuple[str, ...]] = (BOXES_OUTPUT, COUNT_OUTPUT)
    levels: tuple[str, ...] = ()

    def read_levels(self, levels: Mapping[str, int], size: tuple[int, ...]) -> DetectionHead:
        """Choose the coarsest map, and the finer ones down to a quarter of its stride."""
        if not levels:
            raise ConfigError(
                "backbone.name: boxes need the feature maps inside a backbone, but this backbone "
                "hides them. Choose one whose blocks `kft backbones NAME` lists."
            )
        coarsest = max(levels.values())
        chosen = tuple(name for name, stride in levels.items() if stride * _FINENESS >= coarsest)
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
        self,
        features: Mapping[str, keras.KerasTensor],
        mask: keras.KerasTensor | None = None,
        prefix_tokens: int = 0,
    ) -> keras.KerasTensor:
        """Build the output of every point (batch, points, classes + 8).

        Args:
            features: Maps (batch, h, w, c) by block.
            mask: Not used, since maps are not padded.
            prefix_tokens: Not used, since maps have none.
        """
        maps = [features[name] for name in self.levels]
        if any(len(each.shape) != 4 for each in maps):
            raise ConfigError(
                "backbone.name: boxes need feature maps with height and width, but this backbone "
                f"gives {tuple(maps[-1].shape[1:])}."
            )
        return build_answers(build_pyramid(maps), len(self.class_names), LOGITS)

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

    def find_explained(self, outputs: np.ndarray) -> list[ExplainedPart]:
        """Find the classes of the boxes: what speaks for the surest box of each.

        Args:
            outputs: Answers (answers, 6).
        """
        shown = choose_answers(outputs)
        return [
            ExplainedPart(
                name,
                float(shown[shown[:, 0] == place, 5].max()),
                np.eye(len(self.class_names), dtype=np.float32)[place],
            )
            for place, name in enumerate(self.class_names)
            if np.any(shown[:, 0] == place)
        ]

    def score(self, logits: Any, directions: Any) -> Any:
        """Compute the highest logit of a class over all points.

        Args:
            logits: Output of every point (batch, points, classes + 8).
            directions: Class (batch, classes), 1 for the one.
        """
        of_classes = logits[..., : len(self.class_names)]
        return tf.reduce_max(tf.reduce_sum(of_classes * directions[:, tf.newaxis], -1), axis=1)

    def place(self, outputs: np.ndarray, frames: np.ndarray) -> np.ndarray:
        """Convert the sides of answers from fractions of the frame to those of the file."""
        sides = place_in_file(outputs[..., 1:5], frames, in_pixels=False).numpy()
        return np.concatenate([outputs[..., :1], sides, outputs[..., 5:]], axis=-1)

    def serve(self, outputs: Any, frames: Any = None) -> dict[str, Any]:
        """Make the outputs of the export.

        Returns:
            `boxes` (batch, answers, 6): class, left, top, right and bottom in pixels of the upright
            file, or in fractions of the frame without frames, and score; `num_boxes` (batch,), of
            which the first are answers; and `probabilities` (batch, classes), the highest score of
            each class, with `class_names`.
        """
        codes, sides, scores = outputs[..., :1], outputs[..., 1:5], outputs[..., 5:]
        if frames is not None:
            sides = place_in_file(sides, frames, in_pixels=True)
        places = tf.range(len(self.class_names), dtype=codes.dtype)
        names = tf.constant(self.class_names)[tf.newaxis]
        return {
            BOXES_OUTPUT: tf.concat([codes, sides, scores], axis=-1),
            COUNT_OUTPUT: tf.reduce_sum(tf.cast(codes[..., 0] >= 0, tf.int32), axis=1),
            self.values_output: tf.reduce_max(tf.where(codes == places, scores, 0.0), axis=1),
            self.names_output: tf.tile(names, [tf.shape(outputs)[0], 1]),
        }

    @classmethod
    def find_companion(cls, served: Mapping[str, np.ndarray], row: int) -> np.ndarray:
        """Find the boxes of one example that are shown (boxes, 6)."""
        return choose_answers(served[BOXES_OUTPUT][row])

    @property
    def compared_outputs(self) -> tuple[ComparedOutput, ...]:
        """Boxes in any order, and the highest score of each class."""
        return (
            ComparedOutput(BOXES_OUTPUT, (1.0,), _BOX_TOLERANCE, measure=measure_boxes),
            ComparedOutput(self.values_output, self.units),
        )

    def describe(self) -> dict[str, Any]:
        """Describe the head as JSON values, with the blocks that it reads."""
        return super().describe() | {"levels": list(self.levels)}


def place_in_file(sides: Any, frames: Any, *, in_pixels: bool) -> Any:
    """Convert sides in fractions of the frame to those of the upright file, cut at its edge.

    Args:
        sides: Left, top, right and bottom (batch, answers, 4).
        frames: Place of each example in its file (batch, 6); see `model_input.FRAME`.
        in_pixels: Whether to return pixels, or fractions.
    """
    height, width, top, left, bottom, right = tf.unstack(frames[:, tf.newaxis], axis=-1)
    start = tf.stack([left, top, left, top], axis=-1)
    extent = tf.stack([right - left, bottom - top, right - left, bottom - top], axis=-1)
    placed = tf.clip_by_value(start + sides * extent, 0.0, 1.0)
    return placed * tf.stack([width, height, width, height], axis=-1) if in_pixels else placed


def measure_boxes(served: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Measure how far the boxes of each example are from the nearest expected ones, and back.

    Rounding may swap answers of nearly equal scores, so their order does not count.

    Args:
        served: Class, sides in pixels and score (examples, answers, 6).
        expected: The same of the trained model.
    """
    units = np.array([1.0, *[_SIDE_UNIT] * 4, 1.0])
    found = np.zeros(len(expected))
    for place, pair in enumerate(zip(served / units, expected / units, strict=True)):
        distances = np.abs(pair[0][:, np.newaxis] - pair[1]).max(axis=-1)
        for axis, rows in enumerate(pair):
            # Not `>=`, so that a score that is NaN is compared too, and fails.
            is_compared = ~(rows[:, 5] < _LEAST_COMPARED)
            farthest = distances.min(axis=1 - axis)[is_compared].max(initial=0.0)
            found[place] = np.maximum(found[place], farthest)
    return found
