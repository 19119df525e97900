"""Low-rank factors, added beside kernels for one phase and then merged into them."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kft.backbones.record import Block
from kft.config import LoraConfig
from kft.strategies.traits import find_lora_layers

# Attributes of the kernel and of its two factors, by kind of layer.
_KERNEL = ("_kernel", "lora_kernel_a", "lora_kernel_b")
_EMBEDDINGS = ("_embeddings", "lora_embeddings_a", "lora_embeddings_b")


def add_lora(
    blocks: Iterable[Block], config: LoraConfig, *, seed: int
) -> tuple[keras.layers.Layer, ...]:
    """Add low-rank factors beside the kernels of these blocks, with unchanged outputs at first.

    `BlockTable.set_trainable` sets afterwards which variables train. Under a
    tf.distribute strategy, call this in the scope in which the model was made.

    Args:
        blocks: Blocks of the backbone.
        config: Rank, alpha and pattern of layer names.
        seed: Seed of the first factors; the second factors start at zero.

    Returns:
        The layers with factors, for `merge_lora`.

    Source: Hu et al., LoRA, arXiv:2106.09685.
    """
    layers = find_lora_layers(blocks, config.layers)
    for index, layer in enumerate(layers):
        layer.enable_lora(
            config.rank,
            lora_alpha=config.alpha,
            # Seeds go by position, because automatic layer names depend on layers built before.
            a_initializer=keras.initializers.HeUniform(seed=_seed_of(seed, index)),
        )
    return layers


def merge_lora(layers: Sequence[keras.layers.Layer]) -> None:
    """Merge the factors into their kernels and remove them, with unchanged outputs.

    Afterwards a layer has the same variables as before `add_lora`, in the same order, so that
    saving, export and digests see nothing of the factors. Compiled or traced functions that used
    the factors must be made again.
    """
    for layer in layers:
        kernel, first, second = (getattr(layer, name) for name in _names(layer))
        product = keras.ops.matmul(first.value, second.value)
        merged = kernel.value + (layer.lora_alpha / layer.lora_rank) * product
        kernel.assign(keras.ops.cast(merged, kernel.dtype))
        for name in _names(layer)[1:]:
            # Keras has no public method to remove a variable from a layer, and its `__delattr__`
            # would run the garbage collector each time.
            layer._untrack_variable(getattr(layer, name))
            # TensorFlow tracks the variable too, and an export would write it.
            layer._delete_tracking(name)
            object.__delattr__(layer, name)
        layer.lora_enabled = False
        layer.lora_rank = layer.lora_alpha = None
        kernel.trainable = layer.trainable


def is_first_factor(name: str) -> bool:
    """Tell whether a name in a snapshot is that of a first factor, which does not start at zero."""
    return any(f"/{names[1]}#" in name for names in (_KERNEL, _EMBEDDINGS))


def adapted_kernels(layers: Sequence[keras.layers.Layer]) -> list[keras.Variable]:
    """Return the kernels that the factors of these layers are added to."""
    return [getattr(layer, _names(layer)[0]) for layer in layers]


def _names(layer: Any) -> tuple[str, str, str]:
    return _EMBEDDINGS if isinstance(layer, keras.layers.Embedding) else _KERNEL


def _seed_of(seed: int, index: int) -> int:
    return zlib.crc32(f"lora {seed} {index}".encode())
