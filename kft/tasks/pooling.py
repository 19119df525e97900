"""Pooling of a feature map or sequence to the feature vector that every head starts from."""

from __future__ import annotations

import keras
from keras import layers, ops

FEATURES = "features"
"""Name of a backbone's own output among those that a head reads."""
FEATURE_VECTOR = "feature_vector"
"""Name of the layer whose output is the pooled features."""

# Layers by the rank of the features, with the batch: sequences, maps, volumes.
_AVERAGE = {
    3: layers.GlobalAveragePooling1D,
    4: layers.GlobalAveragePooling2D,
    5: layers.GlobalAveragePooling3D,
}
_MAXIMUM = {
    3: layers.GlobalMaxPooling1D,
    4: layers.GlobalMaxPooling2D,
    5: layers.GlobalMaxPooling3D,
}


def pool(
    features: keras.KerasTensor,
    pooling: str,
    mask: keras.KerasTensor | None = None,
    prefix_tokens: int = 0,
) -> keras.KerasTensor:
    """Pool features to a vector (batch, c); a vector passes unchanged.

    The result always comes from a layer named 'feature_vector', where the
    stored prefix of a linear probe ends.

    Args:
        features: Sequence (batch, steps, c), map (batch, h, w, c), volume (batch, frames, h, w, c)
            or vector (batch, c).
        pooling: 'avg', 'max' or 'avgmax'.
        mask: Mask (batch, steps) of a sequence, 0 where a step is padding.
        prefix_tokens: See `Backbone.prefix_tokens`. The class token and the pool of the
            example's steps stand side by side.
    """
    rank = len(features.shape)
    if rank == 2:
        return layers.Identity(name=FEATURE_VECTOR)(features)
    if not prefix_tokens and pooling == "avg":
        return _average(features, mask, FEATURE_VECTOR)
    if not prefix_tokens and pooling == "max":
        return _maximum(features, mask, FEATURE_VECTOR)
    parts = [features[:, 0]] if prefix_tokens else []
    steps = features[:, prefix_tokens:] if prefix_tokens else features
    if pooling != "max":
        parts.append(_average(steps, mask, "average_pool"))
    if pooling != "avg":
        parts.append(_maximum(steps, mask, "max_pool"))
    return layers.Concatenate(name=FEATURE_VECTOR)(parts)


def _average(
    features: keras.KerasTensor, mask: keras.KerasTensor | None, name: str
) -> keras.KerasTensor:
    layer = _AVERAGE[len(features.shape)](name=name)
    return layer(features) if mask is None else layer(features, mask=mask)


def _maximum(
    features: keras.KerasTensor, mask: keras.KerasTensor | None, name: str
) -> keras.KerasTensor:
    if mask is not None:
        least = ops.cast(-1e4, features.dtype)
        features = ops.where(ops.expand_dims(mask, -1) > 0, features, least)
    return _MAXIMUM[len(features.shape)](name=name)(features)
