"""Fusion of frozen batch normalization into the convolution before it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from kft.backbones.graph import Graph, Step
from kft.optimization.frozen_inference import is_replaced, replaced_calls

# The operation and its kernels; the last kernel is scaled.
_KINDS: dict[type[keras.layers.Layer], Callable[[Any], tuple[Any, ...]]] = {
    keras.layers.Conv2D: lambda layer: (keras.ops.conv, layer.kernel),
    keras.layers.DepthwiseConv2D: lambda layer: (keras.ops.depthwise_conv, layer.kernel),
    keras.layers.SeparableConv2D: lambda layer: (
        keras.ops.separable_conv,
        layer.depthwise_kernel,
        layer.pointwise_kernel,
    ),
}


@contextmanager
def fused_norms(model: keras.Model) -> Iterator[None]:
    """Trace convolutions and the frozen normalization after them as one within the block.

    With frozen statistics, normalization multiplies each channel by a scale
    and adds a shift. Multiplying the kernel by the scale instead avoids
    several passes over the activations, forward and backward. The outputs are
    the same up to rounding, and so are the gradients of kernel, scale and
    shift. Layers and weights are not changed.

    Args:
        model: Functional model with its `trainable` flags set.

    Source: Jacob et al., arXiv:1712.05877, section 3.2, with frozen
    statistics.
    """
    # Pairs that an outer block has fused stay fused until that block ends.
    calls: dict[Any, Callable[..., Any]] = {}
    for convolution, norm in find_fusable(model):
        if not is_replaced(convolution) and not is_replaced(norm):
            calls |= {convolution: partial(_convolve, convolution, norm), norm: _pass_through}
    with replaced_calls(calls):
        yield


def find_fusable(model: keras.Model) -> list[tuple[Any, keras.layers.BatchNormalization]]:
    """Find each convolution with the normalization after it that can be fused.

    Args:
        model: Functional model; nested functional models are searched too.
    """
    graph = Graph(model)
    calls = Counter(id(step.operation) for step in graph.steps)
    consumers: dict[int, list[Step]] = {}
    for step in graph.steps:
        for tensor in step.inputs:
            consumers.setdefault(tensor, []).append(step)
    found = []
    for step in graph.steps:
        if _is_chain(step.operation):
            found += find_fusable(step.operation)
            continue
        next_steps = consumers.get(id(step.outputs[0]), [])
        if len(next_steps) != 1 or step.outputs[0] is graph.output:
            continue
        pair = (step.operation, next_steps[0].operation)
        if _can_fuse(*pair) and all(calls[id(each)] == 1 for each in pair):
            found.append(pair)
    return found


def _is_chain(operation: Any) -> bool:
    """Tell whether the operation is a functional model with one input and one output."""
    is_functional = getattr(operation, "_nodes_by_depth", None) is not None
    return is_functional and len(operation.inputs) == len(operation.outputs) == 1


def _can_fuse(convolution: Any, norm: Any) -> bool:
    # Subclasses are excluded, because they may compute something else.
    if type(convolution) not in _KINDS:
        return False
    if type(norm) is not keras.layers.BatchNormalization or norm.trainable:
        return False
    if convolution.activation is not keras.activations.linear:
        return False
    if convolution.data_format != "channels_last" or norm.axis not in (-1, 3):
        return False
    if {convolution.compute_dtype, norm.compute_dtype} != {"float32"}:
        # In lower precision the product of kernel and scale would be rounded, unlike its factors.
        return False
    # If only the scale trains, its gradient is cheaper through the activations than the kernel.
    trains_kernel = any(each is not convolution.bias for each in convolution.trainable_variables)
    return trains_kernel or not (norm.scale and norm.gamma.trainable)


def _convolve(convolution: Any, norm: keras.layers.BatchNormalization, inputs: Any) -> Any:
    """Compute the output of both layers from the inputs of the first."""
    scale = keras.ops.rsqrt(norm.moving_variance + norm.epsilon)
    if norm.scale:
        scale = scale * norm.gamma
    shift = -norm.moving_mean * scale
    if norm.center:
        shift = shift + norm.beta
    if convolution.bias is not None:
        shift = shift + convolution.bias * scale
    convolve, *kernels, last = _KINDS[type(convolution)](convolution)
    if isinstance(convolution, keras.layers.DepthwiseConv2D):
        scale = keras.ops.reshape(scale, last.shape[2:])
    outputs = convolve(
        inputs,
        *kernels,
        last * scale,
        strides=convolution.strides,
        padding=convolution.padding,
        data_format=convolution.data_format,
        dilation_rate=convolution.dilation_rate,
    )
    # `bias_add` has a cheap gradient, a single sum, and at inference TensorFlow fuses it into the
    # convolution. A plain addition has neither.
    return tf.nn.bias_add(outputs, shift)


def _pass_through(inputs: Any, training: Any = None, mask: Any = None) -> Any:
    """Return the inputs, in place of a normalization that is already computed."""
    return inputs
