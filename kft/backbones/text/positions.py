"""Positions of tokens as waves, which hold no weights and suit any length."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

_LONGEST_WAVE = 10_000.0


@keras.saving.register_keras_serializable(package="kft")
class WavePositions(keras.layers.Layer):
    """Adds sines and cosines of the position to vectors (batch, tokens, channels).

    Source: Vaswani et al., Attention Is All You Need, arXiv:1706.03762, section 3.5.
    """

    def call(self, vectors: Any) -> Any:
        """Add the waves; the first half of the channels gets sines, the rest cosines."""
        num_tokens, channels = ops.shape(vectors)[1], vectors.shape[-1]
        half = channels // 2
        places = ops.cast(ops.expand_dims(ops.arange(num_tokens), -1), "float32")
        speeds = _LONGEST_WAVE ** (-ops.arange(half, dtype="float32") / max(half, 1))
        waves = ops.concatenate([ops.sin(places * speeds), ops.cos(places * speeds)], axis=-1)
        waves = ops.pad(waves, [[0, 0], [0, channels - 2 * half]])
        return vectors + ops.cast(waves, vectors.dtype)

    def compute_output_shape(self, shape: Any) -> Any:
        """The same shape."""
        return shape
