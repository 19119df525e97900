"""Snapshots of weights outside their model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import keras
import numpy as np

from kft.model import BlockTable
from kft.strategies import Phase

Snapshot = dict[str, np.ndarray]
"""Values of a model's variables, by a name that is unique in the model."""


def part_of(arrays: Mapping[str, np.ndarray], kind: str) -> Snapshot:
    """Select the arrays whose names begin with `kind/`, and remove that prefix."""
    prefix = f"{kind}/"
    return {
        name.removeprefix(prefix): values
        for name, values in arrays.items()
        if name.startswith(prefix)
    }


class Weights:
    """Selected variables of a model, under names that are unique in it.

    Args:
        variables: Variables by name.
    """

    def __init__(self, variables: Mapping[str, keras.Variable]) -> None:
        self._variables = dict(variables)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variables, in the order of the blocks."""
        return tuple(self._variables)

    @property
    def num_bytes(self) -> int:
        """Size of a snapshot."""
        return sum(
            int(np.prod(variable.shape)) * np.dtype(variable.dtype).itemsize
            for variable in self._variables.values()
        )

    def take(self) -> Snapshot:
        """Copy the current values, so that later steps do not change them."""
        # `numpy` may return TensorFlow's own buffer, hence the copy.
        return {name: np.array(variable.numpy()) for name, variable in self._variables.items()}

    def put(self, snapshot: Snapshot) -> None:
        """Assign the values of a snapshot.

        Raises:
            ValueError: The snapshot is of other variables.
        """
        others = sorted(set(snapshot) ^ set(self._variables))
        if others:
            raise ValueError(f"{len(others)} variables lie on one side alone: {others[0]} …")
        for name, variable in self._variables.items():
            variable.assign(snapshot[name])


def find_moving(blocks: BlockTable, phase: Phase) -> Weights:
    """Find the weights that a phase may change, with batch statistics unless these are frozen.

    The `trainable` flags must be those of the phase. While low-rank factors
    train, they are among the weights, so snapshots must be restored before
    the merge.
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
    """Find all weights of the named blocks, including batch statistics."""
    chosen = set(names)
    return Weights(
        {
            f"{block.name}/{variable.path}#{index}": variable
            for block in blocks.blocks
            if block.name in chosen
            for index, variable in enumerate(block.variables)
        }
    )
