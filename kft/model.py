"""Backbone and head -> one `keras.Model` and its `BlockTable`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kft.backbones.hub import HubBlock
from kft.backbones.record import Backbone, Block
from kft.backbones.scaling import PixelScaling
from kft.errors import BackboneError
from kft.heads.base import Head

HEAD = "head"


@dataclass(frozen=True)
class BlockTable:
    """Every variable of the assembled model, in exactly one block.

    Attributes:
        blocks: The backbone's, shallow to deep, then the head.
    """

    blocks: tuple[Block, ...]

    def __getitem__(self, name: str) -> Block:
        return {block.name: block for block in self.blocks}[name]

    @property
    def names(self) -> tuple[str, ...]:
        """Block names, shallow to deep."""
        return tuple(block.name for block in self.blocks)

    def set_trainable(self, names: Iterable[str], *, batch_norm: str) -> None:
        """Let the named blocks train and freeze all others.

        Args:
            names: Blocks that train.
            batch_norm: 'frozen' keeps normalisation by batch statistics at
                rest even in trainable blocks: of Keras layers with their
                scale and shift, of a hub module its statistics.
        """
        trainable = set(names)
        for block in self.blocks:
            for part in (part for layer in block.layers for part in flatten_layers(layer)):
                rests = batch_norm == "frozen" and isinstance(part, keras.layers.BatchNormalization)
                # Part by part: setting a composite layer to the value it has reaches no further.
                part.trainable = block.name in trainable and not rests
                if isinstance(part, HubBlock):
                    part.batch_norm_rests = batch_norm == "frozen"

    def digests(self) -> dict[str, dict[str, bytes]]:
        """Block -> variable path -> digest of its value, to see later what moved."""
        return {
            block.name: {
                f"{variable.path}#{index}": hashlib.blake2b(
                    variable.numpy().tobytes(), digest_size=16
                ).digest()
                for index, variable in enumerate(block.variables)
            }
            for block in self.blocks
        }


@dataclass(frozen=True)
class Assembled:
    """A backbone with a head.

    Attributes:
        model: float32 pixels (batch, height, width, channels) in [0, 255] ->
            logits (batch, outputs). Scaling to what the backbone expects is
            its first layer, so that training and serving cannot differ in it.
        blocks: Who owns which variable.
        backbone: What was assembled.
        head: What was put on top.
    """

    model: keras.Model
    blocks: BlockTable
    backbone: Backbone
    head: Head


def assemble(backbone: Backbone, head: Head) -> Assembled:
    """One model of a backbone and a head.

    Raises:
        BackboneError: A variable lies in no block, or in two.
    """
    spec = backbone.input_spec
    pixels = keras.Input((spec.height, spec.width, spec.channels), name="pixels", dtype="float32")
    scaled = PixelScaling(spec.scaling, name="pixel_scaling")(pixels)
    logits = head.build(backbone.model(scaled))
    model = keras.Model(pixels, logits, name="kft")
    above = [layer for layer in model.layers if layer is not backbone.model and layer.variables]
    table = BlockTable((*backbone.blocks, Block(HEAD, tuple(above))))
    _check_partition(model, table)
    return Assembled(model, table, backbone, head)


def _check_partition(model: keras.Model, table: BlockTable) -> None:
    owner: dict[int, str] = {}
    for block in table.blocks:
        for variable in block.variables:
            if id(variable) in owner:
                raise BackboneError(
                    f"variable {variable.path} lies in two blocks, {owner[id(variable)]!r} and "
                    f"{block.name!r}; freezing one would not freeze it"
                )
            owner[id(variable)] = block.name
    homeless = [variable.path for variable in model.weights if id(variable) not in owner]
    if homeless:
        raise BackboneError(
            f"{len(homeless)} variables lie in no block, so no phase could freeze or train them: "
            f"{', '.join(homeless[:5])}{' …' if len(homeless) > 5 else ''}"
        )


def compile_forward(
    model: keras.Model, activate: Callable[[Any], Any] = tf.identity
) -> Callable[[tf.Tensor], tf.Tensor]:
    """The model's forward pass in inference, traced once for every batch size.

    Args:
        model: One input, one output.
        activate: Applied to the output, inside the graph.

    Returns:
        inputs (batch, …) -> float32 outputs (batch, …).
    """

    @tf.function
    def forward(inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(activate(model(inputs, training=False)), tf.float32)

    given = model.inputs[0]
    # A concrete function: one trace, whatever the size of a last batch.
    return forward.get_concrete_function(tf.TensorSpec(given.shape, given.dtype))


def flatten_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and all layers inside it."""
    # Keras has no public walk over a composite layer's parts that skips no wrapper.
    return [layer, *layer._flatten_layers(include_self=False)]
