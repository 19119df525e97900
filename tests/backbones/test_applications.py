"""Options, sizes and weights of keras.applications."""

from __future__ import annotations

import hashlib
import shutil

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.backbones.digests import OFFICIAL_DIGESTS
from kft.backbones.families import ARCHITECTURES
from kft.backbones.official import official_files
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError

V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"


def test_mobilenet_v2_has_a_stem_sixteen_blocks_and_a_tail():
    backbone = load_backbone(BackboneConfig(name="mobilenet_v2", weights="random", input_size=32))
    expected = ["stem", *(f"block{index}" for index in range(1, 17)), "tail"]
    assert [block.name for block in backbone.blocks] == expected
    assert [level.stride for level in backbone.feature_levels] == [2, 4, 8, 16, 32]


def test_random_weights_follow_the_seed():
    def kernels():
        keras.utils.set_random_seed(3)
        model = load_backbone(
            BackboneConfig(name="mobilenet_v2", weights="random", input_size=32)
        ).model
        return [variable.numpy() for variable in model.weights]

    assert all(np.array_equal(a, b) for a, b in zip(kernels(), kernels(), strict=True))


def test_blocks_do_not_depend_on_models_built_before():
    config = BackboneConfig(name="inception_v3", weights="random", input_size=75)
    keras.backend.clear_session()
    first = [block.num_parameters for block in load_backbone(config).blocks]
    assert [block.num_parameters for block in load_backbone(config).blocks] == first


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"options": {"alfa": 1.0}}, r"alfa: no such argument.*Allowed: alpha"),
        ({"options": {"alpha": "wide"}}, r"alpha: 'wide' is not a number"),
        ({"options": {"alpha": -1.0}}, r"alpha: -1.0 is below"),
        ({"name": "vgg16", "options": {"alpha": 1.0}}, r"Allowed: none"),
        (
            {"name": "mobilenet_v3_small", "options": {"minimalistic": 1}},
            r"minimalistic: 1 is neither true nor false",
        ),
        ({"input_size": 31}, r"31 is too small for mobilenet_v2; the minimum is 32"),
        ({"name": "xception", "input_size": 70}, r"the minimum is 71"),
        ({"options": {"alpha": 0.4}}, r"no ImageNet weights exist.*0.35, 0.5"),
        ({"name": "small_cnn"}, r"small_cnn has no ImageNet weights.*weights=random"),
    ],
)
def test_invalid_options_sizes_and_weights_are_refused_with_the_allowed_ones(
    config, message, offline
):
    with pytest.raises(BackboneError, match=message):
        load_backbone(BackboneConfig(**{"name": "mobilenet_v2", **config}))


def test_mobilenets_prefer_weights_of_their_exact_size_then_of_224():
    architecture = ARCHITECTURES["mobilenet"]
    names = [file.name for file in official_files(architecture, {"alpha": 0.5}, 160)]
    assert names == ["mobilenet_5_0_160_tf_no_top.h5", "mobilenet_5_0_224_tf_no_top.h5"]
    names = [file.name for file in official_files(architecture, {}, 100)]
    assert names == ["mobilenet_1_0_224_tf_no_top.h5"]


def full_where_large(name):
    """Keras builds the whole model before it requests weights; variants share the code."""
    large = ("large", "base", "101", "152", "169", "201", "v2_l", "v2_m", "v2_s", "vgg19")
    large += (*(f"_b{number}" for number in range(1, 8)), "convnext_small", "inception_resnet")
    marks = [pytest.mark.full] if any(part in name for part in large) else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize(
    "name",
    [full_where_large(name) for name in sorted({*ARCHITECTURES} - {"mobilenet", "mobilenet_v2"})],
)
def test_keras_requests_the_same_file_with_the_same_digest(name, monkeypatch):
    """Keras's own constructor, stopped where it would download."""

    class Asked(Exception):
        pass

    def note(file_name, origin, **options):
        raise Asked(file_name, origin, options["file_hash"])

    architecture = ARCHITECTURES[name]
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", note)
    with pytest.raises(Asked) as asked:
        getattr(keras.applications, architecture.constructor)(
            include_top=False, input_shape=(224, 224, 3)
        )
    (expected,) = official_files(architecture, {}, 224)
    assert asked.value.args == (expected.name, expected.url, OFFICIAL_DIGESTS[expected.name])


@pytest.mark.full
def test_efficientnet_gets_inputs_scaled_as_in_its_imagenet_training(offline, monkeypatch):
    config = BackboneConfig(name="efficientnet_b0", input_size=32)
    made = load_backbone(config.model_copy(update={"weights": "random"})).model
    normalization = next(la for la in made.layers if isinstance(la, keras.layers.Normalization))
    normalization.set_weights([np.full(3, 0.45), np.full(3, 0.225), np.array(1)])
    path = offline / "efficientnetb0_notop.h5"
    made.save(path)
    monkeypatch.setitem(OFFICIAL_DIGESTS, path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(path))
    keras_own = keras.applications.EfficientNetB0(include_top=False, input_shape=(32, 32, 3))
    ours = load_backbone(config)
    without = keras.applications.EfficientNetB0(
        include_top=False, input_shape=(32, 32, 3), weights=None
    )
    without.load_weights(path)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype("float32")
    # Random weights hardly vary at the end; the entry shows the rescaling.
    entries = [
        keras.Model(model.input, model.get_layer("stem_conv").output)(pixels).numpy()
        for model in (keras_own, ours.model, without)
    ]
    assert entries[0].std() > 0.1
    np.testing.assert_allclose(entries[1], entries[0], atol=1e-5)
    assert np.abs(entries[2] - entries[0]).max() > 0.1


def test_imagenet_weights_come_from_the_named_folder_and_are_recorded(shared, offline):
    shutil.copy(shared / "weights" / V2_FILE, offline)
    backbone = load_backbone(
        BackboneConfig(name="mobilenet_v2", options={"alpha": 0.35}, input_size=96)
    )
    assert backbone.sha256 == OFFICIAL_DIGESTS[V2_FILE]
    assert V2_FILE in backbone.source
    assert backbone.licence == "Apache-2.0"


def test_the_1000_class_mobilenet_recognises_the_cat_photograph(shared):
    import tensorflow as tf

    from kft.backbones.weights import load_given
    from kft.modalities.image.scaling import PixelScaling

    model = keras.applications.MobileNet(alpha=0.25, weights=None)
    load_given(model, shared / "weights" / "mobilenet_2_5_224_tf.h5", trust=False)
    photograph = tf.io.decode_image((shared / "data/image/photos/cat.bmp").read_bytes())
    pixels = tf.image.resize(photograph[None], (224, 224))
    labels = (shared / "weights" / "imagenet_labels.txt").read_text().splitlines()[1:]
    best = np.argsort(model(PixelScaling("symmetric")(pixels)).numpy()[0])[::-1][:3]
    assert "cat" in labels[best[0]].lower()
    # The trunk that kft fine-tunes is the one inside that classifier.
    trunk = load_backbone(
        BackboneConfig(
            name="mobilenet",
            options={"alpha": 0.25},
            weights=str(shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5"),
        )
    ).model
    for ours, theirs in zip(trunk.weights, model.weights, strict=False):
        assert np.array_equal(ours.numpy(), theirs.numpy())
