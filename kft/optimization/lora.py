"""Low-rank factors: put beside kernels for one phase, then added to them without a trace."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kft.backbones.record import Block
from kft.config import LoraConfig
from kft.strategies.traits import find_lora_layers

# Attribute of the kernel, and of its two factors, by what kind of layer it is.
_KERNEL = ("_kernel", "lora_kernel_a", "lora_kernel_b")
_EMBEDDINGS = ("_embeddings", "lora_embeddings_a", "lora_embeddings_b")


def add_lora(
    blocks: Iterable[Block], config: LoraConfig, *, seed: int
) -> tuple[keras.layers.Layer, ...]:
    """Put low-rank factors beside the kernels of these blocks; the model answers as before.

    What trains is set afterwards, by `BlockTable.set_trainable`. Under a
    strategy of tf.distribute call it in the scope that the model was made in.

    Args:
        blocks: Of the backbone.
        config: Rank, alpha, and which layers.
        seed: Of the first factor; the second starts from zero.

    Returns:
        The layers that have factors now, for `merge_lora`.

    Source: Hu et al., LoRA, arXiv:2106.09685.
    """
    layers = find_lora_layers(blocks, config.layers)
    for index, layer in enumerate(layers):
        layer.enable_lora(
            config.rank,
            lora_alpha=config.alpha,
            # By position: automatic names of layers shift with what was built before.
            a_initializer=keras.initializers.HeUniform(seed=_seed_of(seed, index)),
        )
    return layers


def merge_lora(layers: Sequence[keras.layers.Layer]) -> None:
    """Add the factors to their kernels and take them out; the model answers as before.

    Afterwards a layer has the weights that it had before `add_lora`, in the same order, so that
    saving, export and digests see nothing of the factors. What was compiled or traced with
    them must be made anew.
    """
    for layer in layers:
        kernel, first, second = (getattr(layer, name) for name in _names(layer))
        product = keras.ops.matmul(first.value, second.value)
        merged = kernel.value + (layer.lora_alpha / layer.lora_rank) * product
        kernel.assign(keras.ops.cast(merged, kernel.dtype))
        for name in _names(layer)[1:]:
            # Keras takes no variable out of a layer by a public name, and `delattr` would collect
            # garbage for each.
            layer._untrack_variable(getattr(layer, name))
            # TensorFlow's own record of it, which an export would write.
            layer._delete_tracking(name)
            object.__delattr__(layer, name)
        layer.lora_enabled = False
        layer.lora_rank = layer.lora_alpha = None
        kernel.trainable = layer.trainable


def is_first_factor(name: str) -> bool:
    """Whether a snapshot's name is that of a factor which does not start from zero."""
    return any(f"/{names[1]}#" in name for names in (_KERNEL, _EMBEDDINGS))


def adapted_kernels(layers: Sequence[keras.layers.Layer]) -> list[keras.Variable]:
    """The variables that the factors of these layers are added to."""
    return [getattr(layer, _names(layer)[0]) for layer in layers]


def _names(layer: Any) -> tuple[str, str, str]:
    return _EMBEDDINGS if isinstance(layer, keras.layers.Embedding) else _KERNEL


def _seed_of(seed: int, index: int) -> int:
    return zlib.crc32(f"lora {seed} {index}".encode())
