"""What a phase does to each block, for people to read before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import keras

from kft.backbones.hub import HubBlock
from kft.backbones.record import Block
from kft.features import Cut
from kft.model import HEAD, Assembled, flatten_layers
from kft.strategies import Phase
from kft.strategies.traits import count_lora_parameters


@dataclass(frozen=True)
class BlockRow:
    """One block in one phase.

    Attributes:
        block: Its name.
        parameters: Numbers in it, batch statistics included.
        trainable_parameters: Those that gradients change; of low-rank
            factors theirs, which are no part of `parameters`.
        learning_rate: Peak rate, or None for a block that rests, and for one
            that is solved for.
        batch_norm: 'frozen' or 'trainable' batch statistics, or 'none' where
            the block has no such layer.
        computed_from: 'cache' before the cut, 'computed' in every step after it.
    """

    block: str
    parameters: int
    trainable_parameters: int
    learning_rate: float | None
    batch_norm: Literal["none", "frozen", "trainable"]
    computed_from: Literal["cache", "computed"]


def describe_blocks(assembled: Assembled, phase: Phase, cut: Cut | None) -> tuple[BlockRow, ...]:
    """A row for each block, shallow to deep; sets the model's `trainable` flags as the phase does.

    Args:
        assembled: The model.
        phase: As planned; of a choice among candidates the first one's blocks.
        cut: Whose activations the phase is fitted on; None where it starts from pixels.
    """
    scope = phase.scope
    assembled.blocks.set_trainable(
        scope.trainable, batch_norm=scope.batch_norm, part=scope.part, lora=scope.lora
    )
    num_stored = _count_stored(assembled, cut)
    return tuple(
        BlockRow(
            block.name,
            block.num_parameters,
            _count_trainable(block, phase),
            _learning_rate(block, phase),
            _batch_norm(block, phase),
            "cache" if index < num_stored else "computed",
        )
        for index, block in enumerate(assembled.blocks.blocks)
    )


def _count_stored(assembled: Assembled, cut: Cut | None) -> int:
    if cut is None:
        return 0
    names = [block.name for block in assembled.backbone.blocks]
    return names.index(cut.name) + 1 if cut.name in names else len(names)


def _count_trainable(block: Block, phase: Phase) -> int:
    if block.name not in phase.scope.trainable:
        return 0
    if phase.scope.lora is not None and block.name != HEAD:
        return count_lora_parameters((block,), phase.scope.lora)
    return sum(prod(variable.shape) for variable in block.variables if variable.trainable)


def _learning_rate(block: Block, phase: Phase) -> float | None:
    if block.name not in phase.scope.trainable or phase.method == "solve":
        return None
    return phase.fit.learning_rate * phase.fit.multipliers.get(block.name, 1.0)


def _batch_norm(block: Block, phase: Phase) -> Literal["none", "frozen", "trainable"]:
    parts = [part for layer in block.layers for part in flatten_layers(layer)]
    # Whether a hub module has such layers its graph does not say.
    if not any(isinstance(p, (keras.layers.BatchNormalization, HubBlock)) for p in parts):
        return "none"
    moves = block.name in phase.scope.trainable and phase.scope.batch_norm == "trainable"
    return "trainable" if moves else "frozen"
