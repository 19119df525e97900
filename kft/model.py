"""Assembly of a backbone and a head into one `keras.Model` with a `BlockTable`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf

from kft.backbones.crossings import named_outputs
from kft.backbones.graph import call_layers
from kft.backbones.hub import HubBlock
from kft.backbones.record import Backbone, Block
from kft.config import LoraConfig
from kft.errors import BackboneError
from kft.modalities.model_input import PADDING_MASK
from kft.tasks.head import Head

HEAD = "head"


@dataclass(frozen=True)
class BlockTable:
    """The blocks of an assembled model; every variable lies in exactly one of them.

    Attributes:
        blocks: The backbone's blocks, shallow to deep, then the head.
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
        """Make the named blocks trainable and freeze all others, whatever was set before.

        A named head trains in full.

        Args:
            names: Blocks that train.
            batch_norm: 'frozen' keeps batch normalization in inference mode
                even in trainable blocks: for Keras layers together with
                scale and shift (unless `part` makes these trainable), for a
                hub module its statistics only.
            part: 'all', or 'bias_norm' to train only biases, scales and
                shifts of normalization in the backbone's blocks.
            lora: Set to train only the low-rank factors in the backbone's
                blocks, which `kft.optimization.lora.add_lora` has added.

        Source of 'bias_norm': Ben Zaken et al., BitFit, arXiv:2106.10199.
        """
        trainable = set(names)
        for block in self.blocks:
            _set_layers(block, trains=block.name in trainable, batch_norm=batch_norm)
            is_partial = part == "bias_norm" or lora is not None
            if block.name in trainable and block.name != HEAD and is_partial:
                chosen = find_factors(block) if lora is not None else biases_and_norms(block)
                ids = {id(variable) for variable in chosen}
                # A layer's flag selects inference mode, a variable's flag excludes gradients: so
                # scale and shift can train while batch statistics are fixed.
                for variable in block.variables:
                    variable.trainable = id(variable) in ids

    def movable(self, name: str, *, batch_norm: str) -> set[str]:
        """Keys of `digests` for the variables of a block that training may currently change."""
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
        """Digest the value of each variable, by block and variable path, to detect changes."""
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
    """A model assembled from a backbone and a head.

    Attributes:
        model: Model from decoded examples, a mapping of element names to tensors (batch, …), to
            logits (batch, outputs). It prepares them as the backbone expects, so training and
            serving cannot differ. The layers of the backbone are its own: it nests no model.
        blocks: Partition of its variables into blocks.
        backbone: The backbone.
        head: The head on top of it.
    """

    model: keras.Model
    blocks: BlockTable
    backbone: Backbone
    head: Head


def assemble(backbone: Backbone, head: Head) -> Assembled:
    """Assemble a backbone and a head into one model.

    Raises:
        BackboneError: A variable lies in no block, or in two.
    """
    spec = backbone.input_spec
    given = {
        name: keras.Input(element.shape, name=name, dtype=element.dtype)
        for name, element in spec.elements.items()
    }
    features = call_backbone(backbone, spec.prepare(given), head.reads)
    model = keras.Model(
        given, head.build(features, given.get(PADDING_MASK), backbone.prefix_tokens), name="kft"
    )
    below = {id(layer) for layer in backbone.model.layers}
    above = [layer for layer in model.layers if id(layer) not in below and layer.variables]
    table = BlockTable((*backbone.blocks, Block(HEAD, tuple(above))))
    _check_partition(model, table)
    return Assembled(model, table, backbone, head)


def call_backbone(
    backbone: Backbone, inputs: Mapping[str, keras.KerasTensor], reads: Sequence[str]
) -> dict[str, keras.KerasTensor]:
    """Call the backbone's layers: in a single graph, any of its tensors can be stored.

    Returns:
        The named outputs of the backbone that are read.
    """
    outputs = named_outputs(backbone)
    given = backbone.model.input
    trunk = keras.Model(given, [outputs[name] for name in reads])
    is_named = isinstance(given, Mapping)
    tensors = call_layers(trunk, dict(inputs) if is_named else next(iter(inputs.values())))
    return dict(zip(reads, tensors, strict=True))


def _check_partition(model: keras.Model, table: BlockTable) -> None:
    owner: dict[int, str] = {}
    for block in table.blocks:
        for variable in block.variables:
            if id(variable) in owner:
                raise BackboneError(
                    f"variable {variable.path} lies in two blocks, {owner[id(variable)]!r} and "
                    f"{block.name!r}; freezing one of them would not freeze the variable"
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
) -> Callable[[Mapping[str, tf.Tensor]], Any]:
    """Trace the model's forward pass in inference mode, once for all batch sizes.

    Args:
        model: Model whose inputs have names, with one output or a mapping of names to outputs.
        activate: Activation applied to each output, inside the graph.

    Returns:
        Function from a mapping of names to inputs (batch, …) to outputs (batch, …). Floats are
        float32 on both sides.
    """

    @tf.function(autograph=False)
    def forward(inputs: Mapping[str, tf.Tensor]) -> Any:
        outputs = tf.nest.map_structure(activate, model(inputs, training=False))
        return tf.nest.map_structure(_widen, outputs)

    # A concrete function is traced once, whatever the size of the last batch.
    return forward.get_concrete_function(find_input_specs(model))


def find_input_specs(model: keras.Model) -> dict[str, tf.TensorSpec]:
    """Find the shape and type of each input of a model; floats are float32 in any precision."""
    # Stored activations are float32 even if the rest of the model computes in bfloat16.
    return {
        name: tf.TensorSpec(
            given.shape,
            tf.float32 if tf.as_dtype(given.dtype).is_floating else given.dtype,
            name=name,
        )
        for name, given in model.input.items()
    }


def _widen(values: tf.Tensor) -> tf.Tensor:
    """Convert floats to float32."""
    return tf.cast(values, tf.float32) if values.dtype.is_floating else values


def flatten_layers(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """List a layer and all layers inside it."""
    # Keras has no public way to list the parts of a composite layer inside wrappers too.
    return [layer, *layer._flatten_layers(include_self=False)]


def find_factors(block: Block) -> list[keras.Variable]:
    """List the low-rank factors in a block's layers, which exist only in a phase with LoRA."""
    return [variable for variable in block.variables if variable.name.startswith("lora_")]


def has_bias_or_norm(block: Block) -> bool:
    """Tell whether a phase with part 'bias_norm' would train anything in a block."""
    return bool(biases_and_norms(block))


def biases_and_norms(block: Block) -> list[keras.Variable]:
    """List the biases of a block, and its scales and shifts of normalization."""
    norms = {
        id(variable)
        for part in _parts(block)
        # By name, because KerasHub's models have their own normalization classes.
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
        is_fixed = batch_norm == "frozen" and isinstance(part, keras.layers.BatchNormalization)
        # Set part by part: setting a composite layer to its current value would change neither
        # its parts nor the variables whose flags differ.
        part.trainable = trains and not is_fixed
        for variable in part._trainable_variables:
            variable.trainable = part.trainable
        if isinstance(part, HubBlock):
            part.is_batch_norm_frozen = batch_norm == "frozen"


def _parts(block: Block) -> list[keras.layers.Layer]:
    return [part for layer in block.layers for part in flatten_layers(layer)]


def _digest_key(variable: keras.Variable, index: int) -> str:
    return f"{variable.path}#{index}"
