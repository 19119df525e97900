"""Statistics of the ends of a backbone's blocks, which a layered probe reads."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

STATISTICS = "block_statistics"
"""Name of the layer whose output a layered head reads, with all statistics side by side."""
# Keeps the gradient of the deviation finite where a channel does not vary.
_EPSILON = 1e-6


@keras.saving.register_keras_serializable(package="kft")
class BlockStatistics(keras.layers.Layer):
    """Mean and standard deviation of each channel over all positions, in float32.

    Of a sequence with a class token they are the token and the mean of the example's
    other steps.

    Args:
        with_mean: Whether to compute the mean too, or only the deviation.
        prefix_tokens: Number of steps before those of the example, see `Backbone.prefix_tokens`.

    Source: Evci et al., Head2Toe, arXiv:2201.03529, for reading all layers, and
    arXiv:2601.09322 for those of vision transformers.
    """

    def __init__(self, *, with_mean: bool = True, prefix_tokens: int = 0, **options: Any) -> None:
        options["dtype"] = "float32"
        super().__init__(**options)
        self.with_mean = with_mean
        self.prefix_tokens = prefix_tokens

    def build(self, features_shape: Any, padding_mask_shape: Any = None) -> None:
        """Find out whether the output holds two statistics."""
        self._is_doubled = self.with_mean and len(features_shape) > 2

    def call(self, features: Any, padding_mask: Any = None) -> Any:
        """Compute statistics (batch, c) or (batch, 2 c) of features (batch, …, c).

        Args:
            features: Map (batch, h, w, c), sequence (batch, steps, c), or vector (batch, c), which
                has no deviation and passes unchanged.
            padding_mask: Mask (batch, steps) of a sequence, 0 where a step is padding.
        """
        features = ops.cast(features, "float32")
        if len(features.shape) == 2:
            return features
        if self.prefix_tokens:
            patches = ops.mean(features[:, self.prefix_tokens :], axis=1)
            return ops.concatenate([features[:, 0], patches], axis=-1)
        axes = tuple(range(1, len(features.shape) - 1))
        if padding_mask is None:
            mean = ops.mean(features, axis=axes, keepdims=True)
            variance = ops.mean(ops.square(features - mean), axis=axes)
        else:
            weights = ops.expand_dims(ops.cast(padding_mask, "float32"), -1)
            weights = weights / ops.maximum(ops.sum(weights, axis=1, keepdims=True), 1.0)
            mean = ops.sum(features * weights, axis=1, keepdims=True)
            variance = ops.sum(ops.square(features - mean) * weights, axis=1)
        deviation = ops.sqrt(variance + _EPSILON)
        if not self.with_mean:
            return deviation
        return ops.concatenate([ops.squeeze(mean, axis=axes), deviation], axis=-1)

    def compute_output_shape(self, features_shape: Any, padding_mask_shape: Any = None) -> Any:
        """Shape of the statistics."""
        channels = features_shape[-1]
        return (features_shape[0], 2 * channels if self._is_doubled else channels)

    def list_widths(self) -> list[int]:
        """Number of columns of each statistic in the output, side by side."""
        count = 2 if self._is_doubled else 1
        return [self.output.shape[-1] // count] * count

    def get_config(self) -> dict[str, Any]:
        """Configuration from which Keras rebuilds the layer."""
        own = {"with_mean": self.with_mean, "prefix_tokens": self.prefix_tokens}
        return {**super().get_config(), **own}
