"""Traits of a backbone's blocks: low-rank factors, biases and normalisation, cuts, strides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from kft.backbones.crossings import cut_after, named_outputs
from kft.backbones.graph import Graph
from kft.backbones.hub import HubBlock
from kft.backbones.record import Backbone, Block
from kft.config import LoraConfig
from kft.errors import ConfigError
from kft.model import flatten_layers, has_bias_or_norm


@dataclass(frozen=True)
class BlockTraits:
    """Properties of a block that strategies depend on.

    Attributes:
        name: Name of the block.
        is_hub: Whether the layers are hidden in a SavedModel's graph.
        adaptable: Names of the layers that take low-rank factors.
        unadaptable: Name and class of the layers that have a kernel but take no factors.
        has_bias_norm: Whether the block has biases, or scales and shifts of normalisation.
        ends_in_cut: Whether a single tensor leads from the block into those after it.
        stride: Input pixels, samples or tokens per cell, if that tensor is a map; else None.
        channels: Channels at the end of the block; 0 if they are hidden.
    """

    name: str
    is_hub: bool = False
    adaptable: tuple[str, ...] = ()
    unadaptable: tuple[tuple[str, str], ...] = ()
    has_bias_norm: bool = True
    ends_in_cut: bool = True
    stride: int | None = None
    channels: int = 0

    def lora_layers(self, pattern: str) -> tuple[str, ...]:
        """Return the names of the layers that get factors."""
        return tuple(name for name in self.adaptable if re.search(pattern, name))


def find_traits(backbone: Backbone) -> tuple[BlockTraits, ...]:
    """Find the traits of each block, shallow to deep."""
    strides = Graph(backbone.model).strides()
    outputs = named_outputs(backbone)
    found = []
    for block in backbone.blocks:
        is_hub = _is_hub(block)
        crossing = None if is_hub else cut_after(backbone, block.name)
        found.append(
            BlockTraits(
                block.name,
                is_hub=is_hub,
                adaptable=tuple(layer.name for layer in _parts(block) if _takes_factors(layer)),
                unadaptable=tuple(
                    (layer.name, type(layer).__name__)
                    for layer in _parts(block)
                    if not _takes_factors(layer) and _own_kernels(layer)
                ),
                has_bias_norm=has_bias_or_norm(block),
                ends_in_cut=crossing is not None,
                stride=strides.get(id(crossing)),
                channels=outputs[block.name].shape[-1] if block.name in outputs else 0,
            )
        )
    return tuple(found)


def find_lora_layers(blocks: Iterable[Block], pattern: str) -> tuple[Any, ...]:
    """Find the Keras layers of these blocks that take low-rank factors and whose names match.

    Args:
        blocks: Blocks of the backbone.
        pattern: Regular expression, searched for anywhere in a layer's name.

    Source: Hu et al., LoRA, arXiv:2106.09685, as Keras's Dense, EinsumDense,
    Embedding and Conv layers implement it.
    """
    return tuple(
        layer
        for block in blocks
        for layer in _parts(block)
        if _takes_factors(layer) and re.search(pattern, layer.name)
    )


def count_lora_parameters(blocks: Iterable[Block], config: LoraConfig) -> int:
    """Count the parameters of the factors of these blocks."""
    shapes = [_kernel_of(layer).shape for layer in find_lora_layers(blocks, config.layers)]
    return sum(config.rank * (prod(shape[:-1]) + shape[-1]) for shape in shapes)


def resolve_lora_blocks(
    config: LoraConfig, traits: Sequence[BlockTraits], where: str
) -> tuple[str, ...]:
    """Resolve the names of the blocks that have a layer to adapt.

    Raises:
        ConfigError: The pattern is not a regular expression, or no block has such a layer.
    """
    try:
        chosen = tuple(block.name for block in traits if block.lora_layers(config.layers))
    except re.error as error:
        raise ConfigError(
            f"{where}.layers: {config.layers!r} is not a regular expression: {error}."
        ) from None
    if chosen:
        return chosen
    if any(block.is_hub for block in traits):
        raise ConfigError(
            f"{where}: the layers of a hub module are hidden in its graph, so they take no "
            "low-rank factors. Train its blocks in full, or use a backbone from `kft backbones`."
        )
    adaptable = [name for block in traits for name in block.adaptable]
    others = [f"{name} ({kind})" for block in traits for name, kind in block.unadaptable]
    if not adaptable:
        raise ConfigError(
            f"{where}: no layer of {', '.join(block.name for block in traits)} takes low-rank "
            f"factors{f'; these do not: {_some(others)}' if others else ''}. Name other blocks, "
            "train them in full, or use `strategy.name=bitfit`."
        )
    matched = [other for other in others if re.search(config.layers, other.partition(" ")[0])]
    found = f"matches only {_some(matched)}, which take none" if matched else "matches no layer"
    raise ConfigError(
        f"{where}.layers: {config.layers!r} {found}. Layers that take low-rank factors: "
        f"{_some(adaptable)}."
    )


def resolve_bias_norm_blocks(traits: Sequence[BlockTraits], where: str) -> tuple[str, ...]:
    """Resolve the names of the blocks that have biases or normalisation.

    Raises:
        ConfigError: No block has any.
    """
    chosen = tuple(block.name for block in traits if block.has_bias_norm and not block.is_hub)
    if chosen:
        return chosen
    hidden = "the layers of a hub module are hidden in its graph"
    none = f"blocks {', '.join(block.name for block in traits)} have none"
    raise ConfigError(
        f"{where}: only biases and normalisation would train, but "
        f"{hidden if any(block.is_hub for block in traits) else none}. Train blocks in full."
    )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _is_hub(block: Block) -> bool:
    return any(isinstance(layer, HubBlock) for layer in block.layers)


def _parts(block: Block) -> list[Any]:
    return [part for layer in block.layers for part in flatten_layers(layer)]


def _takes_factors(layer: Any) -> bool:
    constraint = getattr(layer, "kernel_constraint", None) or getattr(
        layer, "embeddings_constraint", None
    )
    return hasattr(layer, "enable_lora") and layer.built and constraint is None


def _own_kernels(layer: Any) -> list[Any]:
    """Find kernels of the layer itself, without those of nested layers."""
    inner = {id(v) for part in flatten_layers(layer)[1:] for v in part.weights}
    return [v for v in layer.weights if len(v.shape) > 1 and id(v) not in inner]


def _kernel_of(layer: Any) -> Any:
    """Return the variable that the product of the factors is added to."""
    return layer._embeddings if hasattr(layer, "_embeddings") else layer._kernel
