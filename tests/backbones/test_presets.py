"""KerasHub's image presets are backbones if KerasHub is installed."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError


def test_without_keras_hub_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(BackboneError, match=r"pip install 'kft\[hub\]'"):
        load_backbone(BackboneConfig(name="keras_hub:resnet_50_imagenet"))


def test_an_image_preset_brings_its_scaling_and_is_divided_by_stride(tmp_path):
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub, the extra `hub`, is missing")
    trunk = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 64, 64],
        stackwise_num_blocks=[1, 1, 1],
        stackwise_num_strides=[1, 2, 2],
        block_type="basic_block",
    )
    folder = tmp_path / "preset"
    trunk.save_to_preset(folder)
    keras_hub.layers.ResNetImageConverter(
        image_size=(64, 64), scale=[1 / 127.5] * 3, offset=[-1.0] * 3
    ).save_to_preset(folder)
    backbone = load_backbone(BackboneConfig(name=f"keras_hub:{folder}"))
    assert backbone.input_spec.height == 64
    assert backbone.input_spec.scaling == "none"
    assert [level.stride for level in backbone.feature_levels] == [2, 4, 8, 16]
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(
        backbone.model(pixels).numpy(), trunk(pixels / 127.5 - 1).numpy(), atol=1e-5
    )
    fresh = load_backbone(BackboneConfig(name=f"keras_hub:{folder}", weights="random"))
    assert not np.array_equal(fresh.model.weights[0].numpy(), backbone.model.weights[0].numpy())
    # Whether there is a digest says whether the weights are pretrained.
    assert backbone.sha256 is not None
    assert fresh.sha256 is None
    with pytest.raises(BackboneError, match="KerasHub cannot load the preset 'nothing'"):
        load_backbone(BackboneConfig(name="keras_hub:nothing"))


def test_a_preset_fetched_by_name_has_the_digest_of_its_weights(monkeypatch):
    keras_hub = pytest.importorskip("keras_hub", reason="KerasHub, the extra `hub`, is missing")
    keras.utils.set_random_seed(0)

    def fetch(preset, *, load_weights):
        return keras_hub.models.ResNetBackbone(
            input_conv_filters=[64],
            input_conv_kernel_sizes=[7],
            stackwise_num_filters=[64],
            stackwise_num_blocks=[1],
            stackwise_num_strides=[1],
            block_type="basic_block",
        )

    # What the network would bring.
    monkeypatch.setattr(keras_hub.models.Backbone, "from_preset", fetch)
    monkeypatch.setattr(keras_hub.layers.ImageConverter, "from_preset", lambda preset: None)
    named = BackboneConfig(name="keras_hub:resnet_18", input_size=32)
    digests = {load_backbone(named).sha256 for _ in range(2)}
    assert None not in digests
    assert len(digests) == 2
    assert load_backbone(named.model_copy(update={"weights": "random"})).sha256 is None
