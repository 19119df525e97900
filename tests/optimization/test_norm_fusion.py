"""Frozen normalization is fused with the convolution before it, with the same outputs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kft.config import LoraConfig
from kft.model import HEAD
from kft.optimization.lora import add_lora
from kft.optimization.norm_fusion import find_fusable, fused_norms
from kft.optimization.trainer import FitModel

SIZE = 12


def make_model(*between, outer=False):
    """Make a functional model with the given layers in sequence between pixels and two logits."""
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = pixels
    for layer in between:
        x = layer(x)
    if outer:
        inner = keras.Model(pixels, x)
        pixels = keras.Input((SIZE, SIZE, 3))
        x = inner(pixels)
    return keras.Model(pixels, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))


def make_norm(**settings):
    """Make a frozen normalization with statistics, scale and shift other than the defaults."""
    norm = layers.BatchNormalization(
        moving_mean_initializer=keras.initializers.RandomNormal(0, 0.3, seed=1),
        moving_variance_initializer=keras.initializers.RandomUniform(0.5, 2, seed=2),
        gamma_initializer=keras.initializers.RandomUniform(0.5, 2, seed=3),
        beta_initializer=keras.initializers.RandomNormal(0, 0.3, seed=4),
        **settings,
    )
    norm.trainable = False
    return norm


def let_scale_train(norm):
    for variable in norm._trainable_variables:
        variable.trainable = True


def differentiate(model):
    """Compute logits and the gradient of each trainable variable."""
    pixels = tf.random.stateless_normal((4, SIZE, SIZE, 3), (1, 2))
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape() as tape:
        logits = model(pixels, training=True)
        # The loss is linear, so gradients near zero are as exact as others.
        loss = tf.tensordot(logits[:, 0], tf.constant([1.0, -2.0, 3.0, -4.0]), 1)
    return [logits, *tape.gradient(loss, variables)]


def list_operations(model):
    """List the types of operations in the traced model that output feature maps."""
    traced = tf.function(lambda pixels: model(pixels, training=True)).get_concrete_function(
        tf.TensorSpec((None, SIZE, SIZE, 3))
    )
    return list_map_operations(traced.graph)


def list_map_operations(graph):
    """List the types of operations that output feature maps, with a batch axis of any size."""
    return [
        operation.type
        for operation in graph.get_operations()
        for shape in [operation.outputs[0].shape if operation.outputs else tf.TensorShape(())]
        if shape.rank == 4 and shape[0] is None
    ]


@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("norm", [{}, {"scale": False}, {"center": False}, {"epsilon": 0.1}])
@pytest.mark.parametrize(
    "convolution",
    [
        lambda **bias: layers.Conv2D(5, 3, strides=2, padding="same", **bias),
        lambda **bias: layers.Conv2D(6, 3, dilation_rate=2, groups=3, **bias),
        lambda **bias: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", **bias),
        lambda **bias: layers.SeparableConv2D(5, 3, depth_multiplier=2, **bias),
    ],
    ids=["convolution", "grouped and dilated", "depthwise", "separable"],
)
def test_fused_outputs_and_gradients_equal_those_of_the_two_layers(convolution, norm, use_bias):
    frozen = make_norm(**norm)
    bias = keras.initializers.RandomNormal(seed=5)
    model = make_model(convolution(use_bias=use_bias, bias_initializer=bias), frozen, outer=True)
    let_scale_train(frozen)
    separate = differentiate(model)
    with fused_norms(model):
        fused = differentiate(model)
        assert not {"Mul", "AddV2", "Sub"} & set(list_operations(model))
    assert len(separate) == len(model.trainable_variables) + 1
    for one, other in zip(separate, fused, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(one).max())


def test_layers_are_restored_even_after_an_error():
    model = make_model(layers.Conv2D(4, 3), make_norm())
    with pytest.raises(ZeroDivisionError), fused_norms(model), fused_norms(model):
        raise ZeroDivisionError
    assert not any("call" in vars(layer) for layer in model.layers)
    assert "Mul" in list_operations(model)


def test_a_nested_block_does_not_end_the_outer_one():
    model = make_model(layers.Conv2D(4, 3), make_norm())
    with fused_norms(model):
        with fused_norms(model):
            pass
        assert "Mul" not in list_operations(model)


def count_fusable(*between, change=lambda model: None):
    model = make_model(*between)
    change(model)
    return len(find_fusable(model))


def test_a_convolution_with_several_consumers_is_not_fused():
    pixels = keras.Input((SIZE, SIZE, 3))
    shared = layers.Conv2D(3, 3, padding="same")
    maps = shared(pixels)
    both = layers.Add()([make_norm()(maps), maps])
    assert find_fusable(keras.Model(pixels, both)) == []
    twice = make_norm()(shared(make_norm()(shared(pixels))))
    assert find_fusable(keras.Model(pixels, twice)) == []
    assert find_fusable(keras.Model(pixels, [make_norm()(maps)])) != []


@pytest.mark.parametrize(
    ("convolution", "norm"),
    [
        (layers.Conv2D(4, 3, activation="relu"), {}),
        (layers.Conv2D(4, 3, dtype="mixed_bfloat16"), {}),
        (layers.Conv2D(4, 3), {"axis": 1}),
        (layers.Conv2DTranspose(4, 3), {}),
    ],
    ids=["an activation between", "lower precision", "rows normalised", "another layer"],
)
def test_layers_that_a_scaled_kernel_cannot_express_are_not_fused(convolution, norm):
    assert count_fusable(convolution, make_norm(**norm)) == 0


def test_trainable_statistics_are_not_fused():
    norm = layers.BatchNormalization()
    assert count_fusable(layers.Conv2D(4, 3), norm) == 0
    norm.trainable = False
    assert count_fusable(layers.Conv2D(4, 3), norm) == 1


def test_a_trainable_scale_is_not_fused_with_a_frozen_kernel():
    convolution, norm = layers.Conv2D(4, 3), make_norm()

    def freeze_kernel(_):
        let_scale_train(norm)
        convolution.kernel.trainable = False

    assert count_fusable(convolution, norm, change=freeze_kernel) == 0
    assert count_fusable(convolution, make_norm(), change=freeze_kernel) == 1


def test_a_kernel_with_low_rank_factors_is_fused_with_them(assemble_tiny):
    assembled = assemble_tiny()
    blocks = [assembled.blocks[name] for name in assembled.blocks.names if name != HEAD]
    config = LoraConfig()
    adapted = add_lora(blocks, config, seed=0)
    assembled.blocks.set_trainable(assembled.blocks.names, batch_norm="frozen", lora=config)
    for layer in adapted:
        layer.lora_kernel_b.assign(np.random.default_rng(0).normal(size=layer.lora_kernel_b.shape))
    fusable = {id(convolution) for convolution, _ in find_fusable(assembled.model)}
    assert fusable >= {id(layer) for layer in adapted}
    shape = (2, *assembled.model.input["pixels"].shape[1:])
    inputs = {"pixels": tf.random.stateless_uniform(shape, (1, 2), 0, 255)}
    separate = assembled.model(inputs, training=False)
    with fused_norms(assembled.model):
        np.testing.assert_allclose(assembled.model(inputs, training=False), separate, rtol=1e-4)


def test_training_and_validation_steps_have_fused_normalization():
    inner = make_model(layers.Conv2D(4, 3), make_norm())
    model = FitModel({"pixels": inner.input}, inner.output)
    kinds = []
    model.compile("sgd", loss=lambda targets, logits: tf.reduce_mean((targets - logits) ** 2))
    seen = model.call

    def watch(inputs, **settings):
        outputs = seen(inputs, **settings)
        if not isinstance(inputs["pixels"], keras.KerasTensor):
            kinds.append(list_map_operations(inputs["pixels"].graph))
        return outputs

    model.call = watch
    examples = ({"pixels": tf.zeros((4, SIZE, SIZE, 3))}, tf.zeros((4, 2)))
    batches = tf.data.Dataset.from_tensor_slices(examples).batch(2)
    model.fit(batches, verbose=0, shuffle=False)
    model.evaluate(batches, verbose=0)
    assert len(kinds) == 2
    assert all("Conv2D" in operations and "BiasAdd" in operations for operations in kinds)
    assert all("Mul" not in operations for operations in kinds)
    assert not any("call" in vars(layer) for layer in inner.layers)
