"""Pixels are scaled exactly as in Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.src.applications import imagenet_utils

from kft.errors import BackboneError
from kft.modalities.image.scaling import PixelScaling

PIXELS = np.random.default_rng(0).integers(0, 256, size=(2, 8, 8, 3)).astype("float32")


@pytest.mark.parametrize(
    ("scaling", "mode"), [("symmetric", "tf"), ("torch", "torch"), ("caffe", "caffe")]
)
def test_scaling_equals_that_of_keras_applications(scaling, mode):
    expected = imagenet_utils.preprocess_input(PIXELS.copy(), mode=mode)
    scaled = keras.ops.convert_to_numpy(PixelScaling(scaling)(PIXELS))
    np.testing.assert_allclose(scaled, expected, rtol=1e-6, atol=1e-6)


def test_unit_scaling_divides_by_255_and_none_changes_nothing():
    assert np.array_equal(PixelScaling("unit")(PIXELS), PIXELS / np.float32(255.0))
    assert np.array_equal(PixelScaling("none")(PIXELS), PIXELS)


@pytest.mark.parametrize("scaling", ["unit", "symmetric", "torch", "caffe"])
def test_scaling_computes_in_float32_under_a_mixed_policy(scaling):
    exact = keras.ops.convert_to_numpy(PixelScaling(scaling)(PIXELS))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = PixelScaling(scaling)
        mixed = layer(keras.ops.convert_to_tensor(PIXELS))
    finally:
        keras.config.set_dtype_policy("float32")
    assert layer.compute_dtype == "float32"
    assert np.array_equal(keras.ops.convert_to_numpy(mixed), exact)


def test_scaling_survives_a_keras_file(tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, PixelScaling("caffe")(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(model(PIXELS), loaded(PIXELS))


def test_an_unknown_scaling_is_refused():
    with pytest.raises(BackboneError, match="Allowed: none, unit, symmetric"):
        PixelScaling("imagenet")
