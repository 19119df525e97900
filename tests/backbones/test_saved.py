"""Saved backbones load completely, or are refused by name."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone, save_backbone
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError

layers = keras.layers


@pytest.fixture
def saved(small_config, tmp_path):
    keras.utils.set_random_seed(1)
    backbone = load_backbone(small_config)
    for weight in backbone.model.weights:
        weight.assign(np.random.default_rng(0).uniform(0.1, 1.0, weight.shape))
    return backbone, save_backbone(backbone, tmp_path / "pretrained")


def equal(first, second):
    pairs = zip(first.model.weights, second.model.weights, strict=True)
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in pairs)


def test_a_saved_backbone_loads_with_weights_blocks_levels_and_contract(saved):
    backbone, folder = saved
    loaded = load_backbone(BackboneConfig(name=str(folder)))
    assert equal(backbone, loaded)
    assert loaded.input_spec == backbone.input_spec
    for ours, theirs in zip(loaded.blocks, backbone.blocks, strict=True):
        assert ours.name == theirs.name
        assert [la.name for la in ours.layers] == [la.name for la in theirs.layers]
    assert [(lv.stride, lv.block) for lv in loaded.feature_levels] == [
        (lv.stride, lv.block) for lv in backbone.feature_levels
    ]
    assert loaded.sha256 == json.loads((folder / "backbone.json").read_text())["sha256"]


def test_random_weights_of_a_saved_backbone_are_new_and_follow_the_seed(saved):
    backbone, folder = saved
    config = BackboneConfig(name=str(folder), weights="random")

    def fresh(seed):
        keras.utils.set_random_seed(seed)
        return load_backbone(config)

    assert equal(fresh(0), fresh(0))
    assert not equal(fresh(0), fresh(1))
    assert not equal(fresh(0), backbone)
    assert fresh(0).sha256 is None
    statistics = [v for v in fresh(0).model.weights if "moving_mean" in v.path]
    assert all(not v.numpy().any() for v in statistics)


def test_a_saved_backbone_takes_another_input_size_with_the_same_weights(saved):
    backbone, folder = saved
    loaded = load_backbone(BackboneConfig(name=str(folder), input_size=48))
    assert loaded.input_spec.height == 48
    assert loaded.model.output.shape[1:3] == (6, 6)
    assert equal(backbone, loaded)


def test_a_damaged_saved_backbone_is_refused_by_name(saved):
    _, folder = saved
    path = folder / "backbone.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=r"backbone.keras is damaged.*SHA-256"):
        load_backbone(BackboneConfig(name=str(folder)))
    path.unlink()
    with pytest.raises(BackboneError, match=r"backbone.keras is missing"):
        load_backbone(BackboneConfig(name=str(folder)))


@pytest.mark.parametrize("content", ["{", '{"format_version": 99}', "[]"])
def test_a_damaged_or_later_record_is_refused(saved, content):
    _, folder = saved
    (folder / "backbone.json").write_text(content)
    with pytest.raises(BackboneError, match=r"backbone.json"):
        load_backbone(BackboneConfig(name=str(folder)))


def test_saving_over_an_existing_folder_is_refused_and_leaves_it(saved):
    backbone, folder = saved
    before = (folder / "backbone.json").read_bytes()
    with pytest.raises(BackboneError, match="already exists"):
        save_backbone(backbone, folder)
    assert (folder / "backbone.json").read_bytes() == before


def test_a_keras_file_loses_its_top_and_the_source_says_so(tmp_path):
    inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="first")(x)
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="second")(x)
    maps = x
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(10, name="classes")(x)
    model = keras.Model(inputs, x)
    model.save(tmp_path / "classifier.keras")
    backbone = load_backbone(BackboneConfig(name=str(tmp_path / "classifier.keras")))
    assert "without its top" in backbone.source and "classes" in backbone.source
    assert [block.name for block in backbone.blocks] == ["stem", "stage1"]
    assert backbone.input_spec.scaling == "none"
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    expected = keras.Model(inputs, maps)(pixels).numpy()
    assert np.array_equal(backbone.model(pixels).numpy(), expected)


def test_a_sequential_classifier_is_a_backbone_too(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    model.save(tmp_path / "sequential.keras")
    backbone = load_backbone(BackboneConfig(name=str(tmp_path / "sequential.keras")))
    assert [block.num_parameters for block in backbone.blocks] == [112, 296]
    assert [level.stride for level in backbone.feature_levels] == [1, 4]
    assert np.array_equal(backbone.model.weights[0].numpy(), model.weights[0].numpy())


def test_a_keras_file_without_rescaling_needs_a_scaling_option(saved):
    _, folder = saved
    name = str(folder / "backbone.keras")
    with pytest.raises(BackboneError, match=r"does not state its pixel scaling"):
        load_backbone(BackboneConfig(name=name))
    backbone = load_backbone(BackboneConfig(name=name, options={"scaling": "symmetric"}))
    assert backbone.input_spec.scaling == "symmetric"
    with pytest.raises(BackboneError, match=r"Allowed: scaling \(none, unit"):
        load_backbone(BackboneConfig(name=name, options={"scaling": "loud"}))


def test_a_keras_file_that_contains_code_is_refused(tmp_path):
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, layers.Lambda(lambda pixels: pixels * 2)(inputs))
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(BackboneError, match="kft runs no code from model files"):
        load_backbone(BackboneConfig(name=str(tmp_path / "lambda.keras")))


@pytest.mark.parametrize(
    ("shape", "message"),
    [((32, 32, 1), "square RGB"), ((32, 24, 3), "square RGB"), ((7,), "no feature map")],
)
def test_models_with_other_inputs_are_refused(shape, message, tmp_path):
    inputs = keras.Input(shape)
    x = inputs
    if len(shape) == 3:
        x = layers.Conv2D(2, 3)(layers.Rescaling(1.0)(x))
    else:
        x = layers.Dense(3)(layers.Rescaling(1.0)(x))
    keras.Model(inputs, x).save(tmp_path / "other.keras")
    with pytest.raises(BackboneError, match=message):
        load_backbone(BackboneConfig(name=str(tmp_path / "other.keras")))


def test_a_folder_or_file_of_another_kind_is_refused_with_the_kinds_allowed(tmp_path):
    with pytest.raises(BackboneError, match=r"backbone.json.*\.keras.*saved_model.pb"):
        load_backbone(BackboneConfig(name=str(tmp_path)))
    (tmp_path / "broken.keras").write_bytes(b"PK nothing")
    with pytest.raises(BackboneError, match="cannot be read as a Keras model"):
        load_backbone(BackboneConfig(name=str(tmp_path / "broken.keras")))
