"""The record `Backbone` and its parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from kft.modalities.model_input import InputSpec


@dataclass(frozen=True)
class Block:
    """A freezing unit: consecutive layers that are frozen or trained together.

    Attributes:
        name: Name, such as 'stem', 'stage1', 'block3' or 'tail'.
        layers: Keras layers of the backbone, in graph order, whose
            `trainable` freezes and unfreezes the block.
    """

    name: str
    layers: tuple[keras.layers.Layer, ...]

    @property
    def variables(self) -> list[keras.Variable]:
        """Weights of the block, batch statistics included.

        States of random generators (dropout) are excluded: they belong to no block and advance in
        frozen blocks too.
        """
        return [variable for layer in self.layers for variable in layer.weights]

    @property
    def num_parameters(self) -> int:
        """Number of parameters in the block's variables."""
        return sum(int(variable.value.shape.num_elements()) for variable in self.variables)


@dataclass(frozen=True)
class FeatureLevel:
    """A feature map inside the backbone.

    Attributes:
        stride: Input pixels, samples or tokens per cell of the map, along one axis.
        block: Name of the block that ends with this map.
        tensor: Symbolic output of that block, in the backbone's graph.
    """

    stride: int
    block: str
    tensor: keras.KerasTensor


@dataclass(frozen=True)
class Backbone:
    """A pretrained trunk without its top.

    Attributes:
        name: Name in the pipeline.
        model: Model from decoded examples (batch, …), scaled where `input_spec` scales, to
            features: a map or sequence (batch, …, c), or a vector (batch, c). It takes a tensor if
            `input_spec` has one element, else a mapping of names to tensors.
        input_spec: Input contract of `model`.
        blocks: Blocks, shallow to deep; each weight of `model` lies in exactly
            one.
        feature_levels: Deepest feature map of each stride; empty if the
            backbone's inside is hidden (a hub module).
        prefix_tokens: Number of steps of each sequence before those of the
            example: the first is a class token, which stands for the whole.
        source: Origin of architecture and weights.
        licence: Licence of the weights, or 'unknown'.
        sha256: Digest of the weights file; None for random weights.
    """

    name: str
    model: keras.Model
    input_spec: InputSpec
    blocks: tuple[Block, ...]
    feature_levels: tuple[FeatureLevel, ...]
    source: str
    licence: str
    sha256: str | None
    prefix_tokens: int = 0
