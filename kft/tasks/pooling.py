"""Pooling of a feature map to the feature vector that every head starts from."""

from __future__ import annotations

import keras
from keras import layers

FEATURE_VECTOR = "feature_vector"


def pool(features: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """Pool a feature map to a feature vector (batch, c); a vector passes unchanged.

    The result always comes from a layer named 'feature_vector', where the
    stored prefix of a linear probe ends.
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
