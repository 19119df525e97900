"""Frozen layers run in inference mode within the block, and as before afterwards."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kft.optimization.frozen_inference import frozen_inference
from kft.optimization.norm_fusion import fused_norms
from kft.optimization.trainer import FitModel


class Noisy(layers.Layer):
    """Layer of two parts: one gets the training flag from it, the other from Keras."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = layers.Dropout(0.5, seed=2)
        self.outer = layers.GaussianNoise(1.0, seed=3)

    def call(self, inputs, training=None):
        noisy = self.outer(self.inner(inputs), training=training)
        return noisy + 1.0 if training else noisy


def make_model(*between):
    inputs = outputs = keras.Input((8,))
    for layer in between:
        outputs = layer(outputs)
    inner = keras.Model(inputs, outputs)
    return keras.Model(inputs, layers.Dropout(0.5, seed=4)(inner(inputs)))


def freeze(layer):
    layer.trainable = False
    return layer


def call(layer, training):
    return np.asarray(layer(np.ones((64, 8), "float32"), training=training))


@pytest.mark.parametrize("make", [lambda: layers.Dropout(0.5, seed=1), Noisy])
def test_frozen_layers_run_in_inference_mode_and_others_drop(make):
    model = make_model(freeze(make()))
    inner = model.layers[1]
    assert not np.array_equal(call(inner, True), call(inner, False))
    with frozen_inference(model):
        assert np.array_equal(call(inner, True), call(inner, False))
        assert not np.array_equal(call(model, True), call(model, False))
    assert not np.array_equal(call(inner, True), call(inner, False))


@pytest.mark.parametrize("make", [lambda: layers.Dropout(0.5, seed=1), Noisy])
def test_a_trainable_layer_still_drops(make):
    model = make_model(make())
    with frozen_inference(model):
        assert not np.array_equal(call(model.layers[1], True), call(model.layers[1], False))


def test_nested_blocks_and_errors_restore_layers():
    model = make_model(freeze(layers.Dropout(0.5)))
    with pytest.raises(ZeroDivisionError), frozen_inference(model), frozen_inference(model):
        raise ZeroDivisionError
    with frozen_inference(model), fused_norms(model):
        with frozen_inference(model):
            pass
        assert np.array_equal(call(model.layers[1], True), call(model.layers[1], False))
    assert not any("call" in vars(layer) for layer in model._flatten_layers())


def test_a_training_step_sees_a_frozen_prefix_as_served():
    inputs = keras.Input((8,), name="pixels")
    prefix = keras.Model(inputs, freeze(layers.Dropout(0.5, seed=1))(inputs))
    outputs = layers.Dense(1, use_bias=False, kernel_initializer="zeros")(prefix(inputs))
    model = FitModel({"pixels": inputs}, outputs)
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="mse", jit_compile=False)
    pixels, targets = np.ones((16, 8), "float32"), np.ones((16, 1), "float32")
    model.build_metrics(tf.TensorSpec(targets.shape, tf.float32))
    model.fit({"pixels": pixels}, targets, batch_size=16, epochs=1, verbose=0)
    # Gradient of the mean squared error at zero, with no input dropped.
    np.testing.assert_allclose(model.trainable_variables[0].numpy(), 0.2, rtol=1e-6)
