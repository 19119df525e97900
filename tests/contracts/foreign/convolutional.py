"""A backbone for tables of numbers: two convolutions that look at masked steps."""

from __future__ import annotations

import keras
from foreign.series import SeriesSpec

from kft.backbones.crossings import feature_levels
from kft.backbones.partition import blocks_by_layer_names
from kft.backbones.record import Backbone
from kft.modalities.model_input import PADDING_MASK


def load(config):
    """Load it with random weights, for 16 steps of 2 channels."""
    spec = SeriesSpec(16, 2)
    given = {
        name: keras.Input(each.shape, dtype=each.dtype, name=name)
        for name, each in spec.elements.items()
    }
    present = keras.ops.cast(keras.ops.expand_dims(given[PADDING_MASK], -1), "float32")
    x = keras.layers.Conv1D(8, 3, padding="same", activation="relu", name="first")(given["values"])
    x = keras.layers.Conv1D(8, 3, padding="same", activation="relu", name="second")(x * present)
    model = keras.Model(given, x * present, name="convolutional")
    blocks = blocks_by_layer_names(model, {"stem": ["first"], "stage1": ["second"]})
    levels = feature_levels(model, blocks)
    return Backbone(config.name, model, spec, blocks, levels, "foreign", "Apache-2.0", None)
