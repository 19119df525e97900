"""Head of segmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from kft.config import TrainingConfig
from kft.errors import ConfigError
from kft.linear import LinearTargets
from kft.tasks.base import Task
from kft.tasks.compared_output import ComparedOutput
from kft.tasks.explained_head import ExplainedPart
from kft.tasks.head import Head
from kft.tasks.linear_rows import LinearRows
from kft.tasks.loss_terms import make_terms, smooth
from kft.tasks.pooling import FEATURES
from kft.tasks.segmentation.counts import count_pixels
from kft.tasks.segmentation.decoders import DECODERS, LEVEL_MAP, choose_strides, resize_logits
from kft.tasks.segmentation.loss import MaskAccuracy, MaskLoss, MaskTerms
from kft.tasks.segmentation.places import sample_places
from kft.tasks.segmentation.serving import MASKS, PROBABILITIES, SHARES, SIZES, answer_masks
from kft.tasks.segmentation.task import Segmentation

# Pixels whose answer two computations may give differently, because two classes tie.
_SHARE_TOLERANCE = 1e-3
# Share of the pixels from which on a class of a mask is explained.
_LEAST_SHARE = 0.01


@dataclass(frozen=True)
class SegmentationHead(Head):
    """Head of segmentation: a decoder over several feature maps, and a softmax at each pixel.

    Attributes:
        size: Height and width of the model's input.
    """

    task: ClassVar[Task] = Segmentation()
    values_output: ClassVar[str] = SHARES
    other_outputs: ClassVar[tuple[str, ...]] = (PROBABILITIES, MASKS, SIZES)
    size: tuple[int, ...] = ()

    def read_levels(self, levels: Mapping[str, int], size: tuple[int, ...]) -> SegmentationHead:
        """Choose the feature maps that the decoder reads; the coarsest is the backbone's output."""
        if not levels:
            raise ConfigError(
                "head.decoder: masks need the feature maps inside a backbone, but this backbone "
                "hides them. Choose one whose blocks `kft backbones NAME` lists."
            )
        chosen = choose_strides(self.config.decoder, list(levels.values()))
        taps = [block for block, stride in levels.items() if stride in chosen[:-1]]
        return replace(self, taps=tuple(taps), size=size)

    @property
    def vector_layer(self) -> str | None:
        """Name of the map that a linear decoder reads; other decoders read several."""
        return LEVEL_MAP if self.config.decoder == "linear" else None

    def build(
        self,
        features: Mapping[str, keras.KerasTensor],
        mask: keras.KerasTensor | None = None,
        prefix_tokens: int = 0,
    ) -> keras.KerasTensor:
        """Build logits (batch, height, width, classes) at each pixel of the input."""
        levels = [features[name] for name in self.reads]
        if any(len(level.shape) != 4 for level in levels):
            raise ConfigError(
                "head.decoder: masks need feature maps with height and width, but the output of "
                f"this backbone has the shape {tuple(features[FEATURES].shape[1:])}."
            )
        decode = DECODERS[self.config.decoder]
        logits = decode(levels, len(self.class_names), self.config.dropout)
        return resize_logits(logits, self.size)

    def list_widths(self, model: keras.Model) -> list[list[int]]:
        """List the number of channels of each level in the map of a linear decoder."""
        layer = model.get_layer(LEVEL_MAP)
        given = layer.input if isinstance(layer.input, list) else [layer.input]
        return [[int(tensor.shape[-1])] for tensor in given]

    def make_terms(self, training: TrainingConfig, train_targets: np.ndarray) -> MaskTerms:
        """Make the terms: smoothing, focal factor, class weights and the loss of regions."""
        names = self.class_names
        terms = make_terms(training, names, lambda: _balance(train_targets))
        return MaskTerms(**vars(terms), region_loss=training.region_loss)

    def make_loss(self, terms: MaskTerms = MaskTerms()) -> keras.losses.Loss:  # noqa: B008
        """Make the loss of masks and logits, with terms from `make_terms`."""
        return MaskLoss(terms)

    def make_metrics(self) -> list[keras.metrics.Metric]:
        """Make the share of right pixels."""
        return [MaskAccuracy()]

    def find_rows(
        self, vectors: np.ndarray, targets: np.ndarray, units: np.ndarray | None, *, seed: int
    ) -> LinearRows:
        """Sample labelled places of the map that a linear decoder reads; see `Head.find_rows`.

        Args:
            vectors: Maps (examples, h, w, features).
            targets: Masks (examples, height, width).
            units: Unit of each example; by default each is its own.
            seed: Seed of the sample.
        """
        return sample_places(vectors, targets, units, seed=seed)

    def state_linear(
        self, training: TrainingConfig, terms: MaskTerms, targets: np.ndarray
    ) -> LinearTargets:
        """Express the cross-entropy of pixels.

        Args:
            training: The pipeline's `training` section.
            terms: Terms from `make_terms`.
            targets: Class indices of the sampled pixels, int64 (rows,).
        """
        num_classes = len(self.class_names)
        dense = np.eye(num_classes, dtype=np.float32)[targets]
        weights = None
        if terms.class_weights:
            weights = np.array(terms.class_weights, np.float32)[targets]
        return LinearTargets(smooth(dense, terms.label_smoothing, num_classes), weights)

    def activate(self, logits: Any) -> Any:
        """Compute probabilities that sum to 1 over the classes of each pixel."""
        return keras.ops.softmax(logits)

    def find_explained(self, outputs: np.ndarray) -> list[ExplainedPart]:
        """Find the classes of the mask: what speaks for each where it was answered.

        Args:
            outputs: Probabilities of each pixel (height, width, classes).
        """
        answered, parts = outputs.argmax(axis=-1), []
        for place, name in enumerate(self.class_names):
            where = (answered == place)[..., np.newaxis]
            share = float(where.mean())
            if share >= _LEAST_SHARE:
                centred = self._make_direction(place, outputs) - 1 / self.num_logits
                direction = (where * centred / where.sum()).astype(np.float32)
                parts.append(ExplainedPart(name, share, direction))
        return parts

    def condense(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Count the pixels of each answer; see `count_pixels`."""
        return count_pixels(outputs, targets)

    def serve(self, outputs: Any, frames: Any = None) -> dict[str, Any]:
        """Make probabilities at the size of the input, and masks at the size of the files."""
        names = tf.tile(tf.constant(self.class_names)[tf.newaxis], [tf.shape(outputs)[0], 1])
        return {**answer_masks(outputs, frames), self.names_output: names}

    @classmethod
    def find_companion(cls, served: Mapping[str, np.ndarray], row: int) -> np.ndarray:
        """Find the mask of one example, in the size of its file."""
        height, width = served[SIZES][row]
        mask: np.ndarray = served[MASKS][row, :height, :width]
        return mask

    @property
    def compared_outputs(self) -> tuple[ComparedOutput, ...]:
        """Probabilities of each pixel, and the shares of the classes in the masks."""
        units = self.units
        return (
            ComparedOutput(PROBABILITIES, units),
            ComparedOutput(SHARES, units, _SHARE_TOLERANCE),
        )

    def describe(self) -> dict[str, Any]:
        """Describe the head as JSON values, with the size of its input."""
        return super().describe() | {"size": list(self.size)}


def _balance(train_targets: np.ndarray) -> tuple[float, ...]:
    """Weight of each class: the inverse of its share of pixels, 1 in the mean over the pixels."""
    counts = train_targets.sum(axis=0).astype(np.float64)
    weights = counts.sum() / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return tuple(np.where(counts > 0, weights, 0.0).tolist())
