"""Backbone and head -> one `keras.Model` and its `BlockTable`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kft.backbones.hub import HubBlock
from kft.backbones.record import Backbone, Block
from kft.config import LoraConfig
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

    def set_trainable(
        self,
        names: Iterable[str],
        *,
        batch_norm: str,
        part: str = "all",
        lora: LoraConfig | None = None,
    ) -> None:
        """Let the named blocks train and freeze all others, whatever was set before.

        The head trains in full wherever it is named.

        Args:
            names: Blocks that train.
            batch_norm: 'frozen' keeps normalisation by batch statistics at
                rest even in trainable blocks: of Keras layers with their
                scale and shift (unless `part` says that these train), of a
                hub module its statistics.
            part: 'all', or 'bias_norm': of the backbone's blocks only biases,
                and scales and shifts of normalisation.
            lora: Given where only the low-rank factors of the backbone's
                blocks train, which `kft.optimization.lora.add_lora` has put in.

        Source of 'bias_norm': Ben Zaken et al., BitFit, arXiv:2106.10199.
        """
        trainable = set(names)
        for block in self.blocks:
            _set_layers(block, trains=block.name in trainable, batch_norm=batch_norm)
            is_partial = part == "bias_norm" or lora is not None
            if block.name in trainable and block.name != HEAD and is_partial:
                chosen = find_factors(block) if lora is not None else biases_and_norms(block)
                ids = {id(variable) for variable in chosen}
                # A layer's flag says how it computes, a variable's whether gradients change it:
                # scale and shift train on batch statistics that rest.
                for variable in block.variables:
                    variable.trainable = id(variable) in ids

    def movable(self, name: str, *, batch_norm: str) -> set[str]:
        """What training may change in a block as the flags now stand; keys of `digests`."""
        block = self[name]
        statistics = {
            id(variable)
            for part in _parts(block)
            if part.trainable and batch_norm == "trainable"
            for variable in part._non_trainable_variables
        }
        return {
            _digest_key(variable, index)
            for index, variable in enumerate(block.variables)
            if variable.trainable or id(variable) in statistics
        }

    def digests(self) -> dict[str, dict[str, bytes]]:
        """Block -> variable path -> digest of its value, to see later what moved."""
        return {
            block.name: {
                _digest_key(variable, index): hashlib.blake2b(
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
        model: float32 examples as decoded (batch, …) -> logits (batch, outputs).
            Scaling to what the backbone expects is its first layer, so that
            training and serving cannot differ in it.
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
    given = keras.Input(spec.shape, name=spec.name, dtype="float32")
    scaling = spec.make_scaling()
    logits = head.build(backbone.model(given if scaling is None else scaling(given)))
    model = keras.Model(given, logits, name="kft")
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
        inputs (batch, …), floating ones float32 -> float32 outputs (batch, …).
    """

    @tf.function(autograph=False)
    def forward(inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(activate(model(inputs, training=False)), tf.float32)

    given = model.inputs[0]
    # What is stored is float32 even where the model, from there on, computes in bfloat16.
    dtype = tf.float32 if tf.as_dtype(given.dtype).is_floating else given.dtype
    # A concrete function: one trace, whatever the size of a last batch.
    return forward.get_concrete_function(tf.TensorSpec(given.shape, dtype))


def flatten_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """A layer and all layers inside it."""
    # Keras has no public walk over a composite layer's parts that skips no wrapper.
    return [layer, *layer._flatten_layers(include_self=False)]


def find_factors(block: Block) -> list[keras.Variable]:
    """The low-rank factors in a block's layers; none but in a phase that trains them."""
    return [variable for variable in block.variables if variable.name.startswith("lora_")]


def has_bias_or_norm(block: Block) -> bool:
    """Whether a phase of part 'bias_norm' would find anything in a block."""
    return bool(biases_and_norms(block))


def biases_and_norms(block: Block) -> list[keras.Variable]:
    """Biases, and scales and shifts of normalisation."""
    norms = {
        id(variable)
        for part in _parts(block)
        # By name: KerasHub's models bring normalisation classes of their own.
        if re.search(r"Norm(alization)?(V\d)?$", type(part).__name__)
        for variable in part._trainable_variables
    }
    return [
        variable
        for variable in block.variables
        if id(variable) in norms or re.search(r"(^|_)bias$", variable.name)
    ]


def _set_layers(block: Block, *, trains: bool, batch_norm: str) -> None:
    for part in _parts(block):
        rests = batch_norm == "frozen" and isinstance(part, keras.layers.BatchNormalization)
        # Part by part: setting a composite layer to the value it has reaches no further, neither
        # to its parts nor to variables whose flags differ from it.
        part.trainable = trains and not rests
        for variable in part._trainable_variables:
            variable.trainable = part.trainable
        if isinstance(part, HubBlock):
            part.batch_norm_rests = batch_norm == "frozen"


def _parts(block: Block) -> list[keras.layers.Layer]:
    return [part for layer in block.layers for part in flatten_layers(layer)]


def _digest_key(variable: keras.Variable, index: int) -> str:
    return f"{variable.path}#{index}"
