"""Contract of every registered backbone, with random weights at its smallest size."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kft.backbones import BACKBONES, list_backbones, load_backbone
from kft.backbones.crossings import cut_after
from kft.backbones.families import ARCHITECTURES
from kft.backbones.record import Backbone
from kft.config import load_pipeline
from kft.config.schema import BackboneConfig
from kft.strategies import Setting, find_traits, plan_phases

keras = pytest.importorskip("keras")

# Keras 3.15 reads variables through numpy's old __array__ protocol, of which numpy 2 warns.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

# Over 40 million parameters or 500 layers, which take minutes, not seconds, for a step and a round
# trip; and siblings of a smaller one that are the same code with other numbers.
HEAVY = {
    *(f"efficientnet_b{index}" for index in range(1, 8)),
    *(f"efficientnet_v2_{variant}" for variant in ("b1", "b2", "b3", "s", "m", "l")),
    "vgg19",
    *(f"convnext_{variant}" for variant in ("small", "base", "large", "xlarge")),
    *(f"resnet{depth}{version}" for depth in (101, 152) for version in ("", "_v2")),
    *("densenet121", "densenet169", "densenet201", "nasnet_mobile", "nasnet_large"),
    *("inception_resnet_v2", "mobilenet_v3_large"),
}
# Of those that are built each time, these are run each time. The others take seconds each, and are
# run in the full tier.
LIGHT_TO_RUN = {"mobilenet_v2", "efficientnet_v2_b0", "small_cnn"}


# Large enough for the coarsest map to tell strides of 32 and 64 apart.
ROOMY_SIZE = 256


PICTURE_BACKBONES = [row.name for row in list_backbones() if row.modality == "image"]


def build(name: str, size: int | None = None) -> Backbone:
    """Load a backbone with random weights, by default at its smallest size."""
    size = size or (ARCHITECTURES[name].smallest_size if name in ARCHITECTURES else 16)
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return load_backbone(BackboneConfig(name=name, weights="random", input_size=size))


def every(light: set[str]) -> list:
    return [
        pytest.param(name, marks=[] if name in light else [pytest.mark.full])
        for name in PICTURE_BACKBONES
    ]


@pytest.fixture(scope="module", params=every({*PICTURE_BACKBONES} - HEAVY))
def backbone(request) -> Backbone:
    return build(request.param, ROOMY_SIZE)


@pytest.fixture(scope="module", params=every(LIGHT_TO_RUN))
def light_backbone(request) -> Backbone:
    return build(request.param)


def test_the_registry_holds_every_model_of_keras_applications():
    constructors = {name for name in dir(keras.applications) if name[0].isupper()}
    assert len(constructors) == 40
    assert {a.constructor for a in ARCHITECTURES.values()} == constructors
    assert set(PICTURE_BACKBONES) == {*ARCHITECTURES, "small_cnn"} < set(BACKBONES)


def test_structure_holds(backbone):
    """One test for the whole structure, so that each of the forty models is built once."""
    assert_every_variable_lies_in_exactly_one_block(backbone)
    assert_blocks_follow_the_graph(backbone)
    assert_feature_levels_have_the_strides_they_claim(backbone)
    assert_the_default_lets_the_lowest_blocks_rest(backbone)


def assert_every_variable_lies_in_exactly_one_block(backbone):
    in_blocks = [id(v) for block in backbone.blocks for v in block.variables]
    assert len(in_blocks) == len(set(in_blocks))
    assert set(in_blocks) == {id(v) for v in backbone.model.weights}
    layers = [id(layer) for block in backbone.blocks for layer in block.layers]
    assert len(layers) == len(set(layers))
    names = [block.name for block in backbone.blocks]
    assert len(names) == len(set(names))
    assert len(names) >= 4
    assert all(block.num_parameters > 0 for block in backbone.blocks if "vgg" not in backbone.name)


def assert_blocks_follow_the_graph(backbone):
    for earlier, later in zip(backbone.blocks, backbone.blocks[1:], strict=False):
        if later.name != "tail":
            number = "".join(filter(str.isdigit, later.name))
            previous = "".join(filter(str.isdigit, earlier.name))
            assert not previous or int(number) == int(previous) + 1, (earlier.name, later.name)
        if backbone.name.startswith("nasnet"):
            continue  # Two tensors cross between its cells.
        cut = cut_after(backbone, earlier.name)
        assert cut is not None, earlier.name
        upstream = keras.Model(backbone.model.input, cut)
        before = {id(v) for block in backbone.blocks for v in block.variables}
        upstream_ids = {id(v) for v in upstream.weights}
        assert upstream_ids <= before
        assert not upstream_ids & {id(v) for v in later.variables}
        assert {id(v) for v in earlier.variables} <= upstream_ids


def assert_feature_levels_have_the_strides_they_claim(backbone):
    levels = backbone.feature_levels
    strides = [level.stride for level in levels]
    assert strides == sorted(set(strides))
    assert levels[-1].tensor is backbone.model.output
    assert strides[-1] == (8 if backbone.name == "small_cnn" else 32)
    for level in levels:
        cells = level.tensor.shape[1]
        # Unpadded convolutions lose a few cells at the border.
        assert 0 <= math.ceil(ROOMY_SIZE / level.stride) - cells <= 3, (level.stride, cells)


def assert_the_default_lets_the_lowest_blocks_rest(backbone):
    traits = find_traits(backbone)
    names = tuple(block.name for block in backbone.blocks)
    setting = Setting(
        load_pipeline(None, ()).strategy,
        backbone=backbone.name,
        block_names=(*names, "head"),
        augmentation="light",
        is_pretrained=True,
        num_examples=100,
        steps_per_epoch=10,
        num_validation=20,
        has_linear_head=True,
        may_mix=True,
        traits=traits,
    )
    *_, phase = plan_phases(setting)
    frozen = names[: len(names) + 1 - len(phase.scope.trainable)]
    assert (*frozen, *phase.scope.trainable) == (*names, "head"), "the lowest, and no others"
    if backbone.name.startswith(("inception", "nasnet")):
        # Their first blocks are one, up to stride 8, or hand on two tensors.
        assert not frozen
        return
    assert frozen, "none rests"
    assert traits[len(frozen) - 1].ends_in_cut, "what rests cannot be computed once"
    parameters = [block.num_parameters for block in backbone.blocks]
    assert sum(parameters[: len(frozen)]) < 0.1 * sum(parameters)


def test_fusing_frozen_normalization_into_its_convolution_keeps_the_features(light_backbone):
    from kft.optimization.norm_fusion import find_fusable, fused_norms

    model, generator = light_backbone.model, np.random.default_rng(0)
    norms = [each for each in model.layers if isinstance(each, keras.layers.BatchNormalization)]
    # Over the hundreds of layers of EfficientNetV2-L with random weights a change of 1e-6 of the
    # inputs grows to a quarter of the outputs, and so does rounding. With slightly smaller branches
    # it does not, and a change of the first layers still shows in the last.
    damping = 1.2 if light_backbone.name == "efficientnet_v2_l" else 1
    for norm in norms:
        norm.trainable = False
        norm.moving_mean.assign(generator.normal(0, 0.1, norm.moving_mean.shape))
        norm.moving_variance.assign(damping * generator.uniform(0.5, 2, norm.moving_variance.shape))
    assert bool(find_fusable(model)) == bool(norms)
    spec = light_backbone.input_spec
    inputs = generator.normal(size=(1, spec.height, spec.width, 3)).astype("float32")
    apart = model(inputs, training=False).numpy()
    with fused_norms(model):
        together = model(inputs, training=False).numpy()
    np.testing.assert_allclose(together, apart, atol=1e-4 * np.abs(apart).max())


def test_a_frozen_backbone_computes_the_same_in_training_and_inference(light_backbone):
    from kft.optimization.frozen_inference import frozen_inference

    model, spec = light_backbone.model, light_backbone.input_spec
    for block in light_backbone.blocks:
        for layer in block.layers:
            layer.trainable = False
    inputs = np.random.default_rng(0).normal(size=(2, spec.height, spec.width, 3))
    at_rest = model(inputs.astype("float32"), training=False).numpy()
    with frozen_inference(model):
        in_a_step = model(inputs.astype("float32"), training=True).numpy()
    assert np.array_equal(in_a_step, at_rest)


def test_freezing_a_block_fixes_its_variables_and_statistics_while_others_change(
    light_backbone,
):
    import tensorflow as tf

    backbone = light_backbone
    for layer in backbone.model.layers:
        layer.trainable = True
    half = len(backbone.blocks) // 2
    frozen, free = backbone.blocks[:half], backbone.blocks[half:]
    for block in frozen:
        for layer in block.layers:
            layer.trainable = False
    before = {id(v): v.numpy().copy() for v in backbone.model.weights}
    spec = backbone.input_spec
    inputs = np.random.default_rng(0).normal(size=(2, spec.height, spec.width, 3))
    targets = np.random.default_rng(1).normal(size=(2, *backbone.model.output.shape[1:]))
    with tf.GradientTape() as tape:
        outputs = backbone.model(tf.constant(inputs, "float32"), training=True)
        loss = tf.reduce_mean((outputs - tf.constant(targets, outputs.dtype)) ** 2)
    variables = backbone.model.trainable_variables
    gradients = tape.gradient(loss, [v.value for v in variables])
    for variable, gradient in zip(variables, gradients, strict=True):
        variable.assign(variable.value - 10.0 * tf.sign(gradient))

    for block in frozen:
        for variable in block.variables:
            assert np.array_equal(before[id(variable)], variable.numpy()), variable.path
    for block in free:
        moved = [v.path for v in block.variables if (before[id(v)] != v.numpy()).any()]
        assert moved, block.name
        statistics = [v for v in block.variables if "moving_" in v.path]
        still = [v.path for v in statistics if np.array_equal(before[id(v)], v.numpy())]
        assert not still


def test_a_backbone_survives_a_keras_file(light_backbone, tmp_path):
    from kft.backbones.partition import partition, partition_by_stride

    path = tmp_path / "model.keras"
    light_backbone.model.save(path)
    loaded = keras.saving.load_model(path, safe_mode=True)
    for original, read in zip(light_backbone.model.weights, loaded.weights, strict=True):
        assert np.array_equal(original.numpy(), read.numpy())
    if light_backbone.name in ARCHITECTURES:
        blocks = partition(loaded, ARCHITECTURES[light_backbone.name].boundaries)
    else:
        blocks = partition_by_stride(loaded)
    expected = [b.num_parameters for b in light_backbone.blocks]
    if light_backbone.name in ARCHITECTURES:
        assert [b.num_parameters for b in blocks] == expected
    assert sum(b.num_parameters for b in blocks) == sum(expected)
