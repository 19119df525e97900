"""Weights outside their model: taken, put back, counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from kft.model import BlockTable
from kft.strategies import Phase

Snapshot = dict[str, np.ndarray]
"""Values of a model's variables by a name that is unique in it."""


def part_of(arrays: Mapping[str, np.ndarray], kind: str) -> Snapshot:
    """Those whose names begin with `kind/`, without it."""
    prefix = f"{kind}/"
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


class Weights:
    """Some variables of a model, under names that are unique in it.

    Args:
        variables: Name -> variable.
    """

    def __init__(self, variables: Mapping[str, keras.Variable]) -> None:
        self._variables = dict(variables)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the variables, in the order of the blocks."""
        return tuple(self._variables)

    @property
    def num_bytes(self) -> int:
        """Of a snapshot."""
        return sum(
            int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
            for variable in self._variables.values()
        )

    def take(self) -> Snapshot:
        """The present values, which later steps leave as they are."""
        # A copy: TensorFlow may hand out its own buffer.
        return {name: np.array(variable.numpy()) for name, variable in self._variables.items()}

    def put(self, snapshot: Snapshot) -> None:
        """Make the values of a snapshot the present ones."""
        assert set(snapshot) == set(self._variables), "a snapshot of other variables"
        for name, variable in self._variables.items():
            variable.assign(snapshot[name])


def find_moving(blocks: BlockTable, phase: Phase) -> Weights:
    """What the phase may change: its trainable weights, and batch statistics unless they rest.

    The `trainable` flags must be those of the phase. While low-rank factors
    train, these are among the weights: put snapshots back before the merge.
    """
    return Weights(
        {
            f"{block.name}/{variable.path}#{index}": variable
            for block in blocks.blocks
            if block.name in phase.scope.trainable
            for movable in [blocks.movable(block.name, batch_norm=phase.scope.batch_norm)]
            for index, variable in enumerate(block.variables)
            if f"{variable.path}#{index}" in movable
        }
    )


def find_weights(blocks: BlockTable, names: Iterable[str]) -> Weights:
    """All weights of the named blocks, batch statistics included."""
    chosen = set(names)
    return Weights(
        {
            f"{block.name}/{variable.path}#{index}": variable
            for block in blocks.blocks
            if block.name in chosen
            for index, variable in enumerate(block.variables)
        }
    )
