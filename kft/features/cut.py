"""The cut of a model into its frozen prefix and the suffix that trains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property

import keras

from kft.backbones.graph import Graph, Step
from kft.backbones.partition import cut_after
from kft.features.engines import Forward
from kft.model import HEAD, Assembled
from kft.tasks.pooling import FEATURE_VECTOR


@dataclass(frozen=True, eq=False)
class Cut:
    """A model in two parts that share its layers, each built on first use.

    Attributes:
        name: The deepest frozen block, or 'feature_vector'.
        assembled: The whole model.
        crossing: The single tensor that crosses the cut, in the graph that holds it.
    """

    name: str
    assembled: Assembled
    crossing: keras.KerasTensor
    _forwards: dict[str, Forward] = field(default_factory=dict, init=False, repr=False)

    @property
    def backbone(self) -> str:
        """Name of the backbone that was cut."""
        return self.assembled.backbone.name

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the crossing tensor, without the batch."""
        return tuple(self.crossing.shape[1:])

    @cached_property
    def prefix(self) -> keras.Model:
        """Frozen model from decoded examples to the crossing tensor."""
        model = self.assembled.model
        output = self.crossing
        if not self._is_vector:
            inner = keras.Model(self.assembled.backbone.model.input, output, name="inner_prefix")
            output = inner(self._called.inputs[0])
        return keras.Model(model.input, output, name="prefix")

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
        """Model from the crossing tensor to logits."""
        model, backbone = self.assembled.model, self.assembled.backbone.model
        if self._is_vector:
            return keras.Model(self.crossing, model.output, name="suffix")
        inner = keras.Model(self.crossing, backbone.output, name="inner_suffix")
        above = keras.Model(self._called.outputs[0], model.output, name="above")
        stored = keras.Input(self.shape, dtype=self.crossing.dtype, name="stored")
        return keras.Model(stored, above(inner(stored)), name="suffix")

    @property
    def _called(self) -> Step:
        """The backbone's call in the whole model: `backbone.output` lies inside its own graph."""
        backbone = self.assembled.backbone.model
        return next(s for s in Graph(self.assembled.model).steps if s.operation is backbone)

    @property
    def _is_vector(self) -> bool:
        """Whether the cut lies above the backbone, in the graph of the whole model."""
        return self.name == FEATURE_VECTOR


def find_cut(assembled: Assembled, trainable: Iterable[str]) -> Cut | None:
    """Find the deepest cut with only frozen blocks before it; None if the model has none.

    Args:
        assembled: The whole model.
        trainable: Names of the blocks that train.
    """
    trainable = set(trainable)
    if not trainable - {HEAD}:
        vector = assembled.model.get_layer(FEATURE_VECTOR).output
        return Cut(FEATURE_VECTOR, assembled, vector)
    names = [block.name for block in assembled.backbone.blocks]
    first = min(names.index(name) for name in trainable if name in names)
    for depth in range(first, 0, -1):
        crossing = cut_after(assembled.backbone, names[depth - 1])
        if crossing is not None:
            return Cut(names[depth - 1], assembled, crossing)
    return None
