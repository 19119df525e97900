"""Rows that describe the effect of a phase on each block, for the plan of a run."""

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
        block: Name of the block.
        parameters: Number of parameters, batch statistics included.
        trainable_parameters: Number of parameters that gradients change; low-rank
            factors count here, but not in `parameters`.
        learning_rate: Peak learning rate; None for a frozen block, and for a head
            that is solved in closed form.
        batch_norm: 'frozen' or 'trainable' batch statistics; 'none' if the block
            has no batch normalization.
        computed_from: 'cache' before the cut, 'computed' in every step after it.
    """

    block: str
    parameters: int
    trainable_parameters: int
    learning_rate: float | None
    batch_norm: Literal["none", "frozen", "trainable"]
    computed_from: Literal["cache", "computed"]


def describe_blocks(assembled: Assembled, phase: Phase, cut: Cut | None) -> tuple[BlockRow, ...]:
    """Describe each block in a phase, shallow to deep; sets `trainable` flags like the phase.

    Args:
        assembled: The whole model.
        phase: The planned phase; among candidates, the blocks of the first one count.
        cut: Cut whose stored activations the phase trains on; None if it trains on pixels.
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
    # A hub module's graph does not show whether it has such layers.
    if not any(isinstance(p, (keras.layers.BatchNormalization, HubBlock)) for p in parts):
        return "none"
    moves = block.name in phase.scope.trainable and phase.scope.batch_norm == "trainable"
    return "trainable" if moves else "frozen"
