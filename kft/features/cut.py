"""The cut of a model into its frozen prefix and the suffix that trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import keras
from keras.src.ops.function import Function

from kft.backbones.crossings import crossing_after
from kft.backbones.graph import call_layers
from kft.features.engines import Forward
from kft.model import HEAD, Assembled
from kft.tasks.block_statistics import BlockStatistics


@dataclass(frozen=True, eq=False)
class Cut:
    """A model in two parts that share its layers, each built on first use.

    Attributes:
        name: The deepest frozen block, or the layer that the head's trainable layers read.
        assembled: The whole model.
        crossing: Tensors that cross the cut, by the names under which they are stored.
    """

    name: str
    assembled: Assembled
    crossing: Mapping[str, keras.KerasTensor]
    _forwards: dict[str, Forward] = field(default_factory=dict, init=False, repr=False)

    @property
    def backbone(self) -> str:
        """Name of the backbone that was cut."""
        return self.assembled.backbone.name

    @property
    def contents(self) -> str:
        """Name of the stored activations for messages."""
        return f"the activations at {self.name}"

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each crossing tensor, without the batch."""
        return {name: tuple(tensor.shape[1:]) for name, tensor in self.crossing.items()}

    @cached_property
    def prefix(self) -> keras.Model:
        """Frozen model from decoded examples to the crossing tensors."""
        return keras.Model(self.assembled.model.input, dict(self.crossing), name="prefix")

    def forward(self, digest: str) -> Forward:
        """Forward pass of the prefix, which is reused until its weights change.

        Args:
            digest: Digest of the prefix with its current weights, by `digest_model`.
        """
        if digest not in self._forwards:
            self._forwards.clear()
            self._forwards[digest] = Forward(self.prefix)
        return self._forwards[digest]

    @cached_property
    def suffix(self) -> keras.Model:
        """Model from the crossing tensors to logits."""
        # A model in its place would give inputs of the whole model that cross the cut, such as a
        # padding mask, another place in the graph, by which the prefix no longer finds them.
        inner = Function(list(self.crossing.values()), self.assembled.model.output)
        stored = {
            name: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=name)
            for name, tensor in self.crossing.items()
        }
        return keras.Model(stored, call_layers(inner, list(stored.values())), name="suffix")


def find_cut(assembled: Assembled, trainable: Iterable[str]) -> Cut | None:
    """Find the deepest cut with only frozen blocks before it; None if the model has none.

    Args:
        assembled: The whole model.
        trainable: Names of the blocks that train.
    """
    trainable = set(trainable)
    name = assembled.head.vector_layer
    if name is not None and not trainable - {HEAD}:
        return Cut(name, assembled, {name: assembled.model.get_layer(name).output})
    blocks = assembled.blocks.blocks
    first = min(i for i, block in enumerate(blocks) if block.name in trainable)
    for depth in range(first, 0, -1):
        crossing = crossing_after(assembled.model, blocks[:depth], blocks[depth:])
        if crossing is not None:
            name = blocks[depth - 1].name
            return Cut(name, assembled, _name(name, crossing, assembled.model))
    return None


def _name(
    block: str, crossing: Iterable[keras.KerasTensor], model: keras.Model
) -> dict[str, keras.KerasTensor]:
    """Name crossing tensors: inputs and statistics by their own names, the others by the block.

    Names of the backbone's layers are no use, because Keras counts some of them over all models
    of a process.
    """
    inputs = {id(tensor): name for name, tensor in model.input.items()}
    named: dict[str, keras.KerasTensor] = {}
    count = 0
    for tensor in crossing:
        operation = tensor._keras_history.operation
        if id(tensor) in inputs:
            named[inputs[id(tensor)]] = tensor
        elif isinstance(operation, BlockStatistics):
            named[operation.name] = tensor
        else:
            named[block if not count else f"{block}_{count}"] = tensor
            count += 1
    return named
