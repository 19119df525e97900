"""Vision transformers of KerasHub are read layer by layer, with class token and patches."""

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.config import HeadConfig
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError
from kft.model import assemble
from kft.tasks import find_task, make_head

FAMILIES = ("vit", "dinov2")


def make_trunk(family: str) -> keras.Model:
    models = pytest.importorskip("keras_hub", reason="KerasHub, the extra `hub`, is missing").models
    keras.utils.set_random_seed(0)
    if family == "dinov2":
        return models.DINOV2Backbone(
            patch_size=8,
            num_layers=2,
            hidden_dim=8,
            num_heads=2,
            intermediate_dim=16,
            num_register_tokens=2,
            image_shape=(16, 16, 3),
            position_embedding_shape=(16, 16, 3),
        )
    return models.ViTBackbone((16, 16, 3), 8, 2, 2, 8, 16)


def ask(trunk: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(trunk({"images": pixels} if isinstance(trunk.input, dict) else pixels))


@pytest.fixture(scope="module", params=FAMILIES)
def saved(request, tmp_path_factory):
    trunk = make_trunk(request.param)
    folder = tmp_path_factory.mktemp("presets") / request.param
    trunk.save_to_preset(str(folder))
    return request.param, trunk, f"keras_hub:{folder}"


def test_each_layer_is_a_block_and_the_model_answers_as_keras_hub(saved):
    _, trunk, name = saved
    backbone = load_backbone(BackboneConfig(name=name))
    assert [block.name for block in backbone.blocks] == ["embeddings", "layer1", "layer2", "tail"]
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(backbone.model(pixels), ask(trunk, pixels), atol=1e-5)


def test_a_head_reads_class_token_and_mean_of_patches_of_every_layer(saved):
    family, trunk, name = saved
    backbone = load_backbone(BackboneConfig(name=name))
    prefix = {"vit": 1, "dinov2": 3}[family]
    assert backbone.prefix_tokens == prefix
    targets = np.array([0, 1])
    head = make_head(HeadConfig(), find_task("class"), ("cat", "dog"), targets)
    assembled = assemble(backbone, head)
    pixels = np.random.default_rng(0).uniform(0, 1, (2, 16, 16, 3)).astype("float32")
    tokens = ask(trunk, pixels)
    expected = np.concatenate([tokens[:, 0], tokens[:, prefix:].mean(axis=1)], axis=-1)
    vector = keras.Model(assembled.model.input, assembled.model.get_layer("feature_vector").output)
    np.testing.assert_allclose(vector({"pixels": pixels}), expected, atol=1e-5)


def test_a_size_that_the_position_embeddings_do_not_fit_is_refused(saved):
    family, _, name = saved
    if family == "dinov2":
        backbone = load_backbone(BackboneConfig(name=name, input_size=24))
        assert backbone.model.output_shape == (None, 3 + 9, 8)
        return
    with pytest.raises(BackboneError, match=r"position embeddings of .* are for 16 pixels"):
        load_backbone(BackboneConfig(name=name, input_size=24))
