"""The value that this room hands on: a `Backbone` and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from kft.modalities.model_input import InputSpec


@dataclass(frozen=True)
class Block:
    """A freezing unit: consecutive layers that train or rest together.

    Attributes:
        name: 'stem', 'stage1', 'block3', 'tail' …
        layers: Keras layers whose `trainable` switches the block; leaves of
            the backbone, in graph order.
    """

    name: str
    layers: tuple[keras.layers.Layer, ...]

    @property
    def variables(self) -> list[keras.Variable]:
        """Every weight of the block, batch statistics included.

        The states of random generators (dropout) are left out: they belong to no block, and
        advance in frozen ones too.
        """
        return [variable for layer in self.layers for variable in layer.weights]

    @property
    def num_parameters(self) -> int:
        """How many numbers the block's variables hold."""
        return sum(int(variable.value.shape.num_elements()) for variable in self.variables)


@dataclass(frozen=True)
class FeatureLevel:
    """A feature map inside the backbone.

    Attributes:
        stride: Input pixels per cell of the map.
        block: The block that ends with this map.
        tensor: The symbolic output of that block, in the backbone's graph.
    """

    stride: int
    block: str
    tensor: keras.KerasTensor


@dataclass(frozen=True)
class Backbone:
    """A pretrained trunk without its top.

    Attributes:
        name: As the pipeline names it.
        model: Takes examples of shape (batch, …) as `input_spec` has them, scaled where it
            scales; gives a feature map (batch, …, c) or a feature vector (batch, c).
        input_spec: What `model` expects.
        blocks: Shallow to deep; every weight of `model` lies in exactly one.
        feature_levels: One per stride, deepest map of each; empty where the
            backbone shows no inside (a hub module).
        source: Where architecture and weights come from.
        licence: Of the weights, or 'unknown'.
        sha256: Digest of the weights file, or None for random weights.
    """

    name: str
    model: keras.Model
    input_spec: InputSpec
    blocks: tuple[Block, ...]
    feature_levels: tuple[FeatureLevel, ...]
    source: str
    licence: str
    sha256: str | None
