"""Payloads of a checkpoint: JSON values and arrays of each part of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
import tensorflow as tf

from kft.optimization.optimizers import block_rates
from kft.selection.snapshots import part_of

Arrays = dict[str, np.ndarray]
Payload = tuple[dict[str, Any], Arrays]


@runtime_checkable
class Resumable(Protocol):
    """Part of a run whose state is needed to resume it."""

    def pack(self) -> Payload:
        """Pack the state as JSON values and arrays."""

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restore a packed state."""


def join_payloads(payloads: Mapping[str, Payload]) -> Payload:
    """Join the payloads of several parts into one, from which `find_payload` extracts them."""
    state = {name: of_part for name, (of_part, _) in payloads.items()}
    arrays = {
        f"{name}/{key}": values
        for name, (_, own) in payloads.items()
        for key, values in own.items()
    }
    return state, arrays


def find_payload(name: str, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Payload:
    """Extract the payload of one part."""
    return state[name], part_of(arrays, name)


def take_values(variables: Sequence[Any], kind: str) -> Arrays:
    """Copy the values of variables, named by kind and index."""
    return {f"{kind}/{i:05d}": np.array(v.numpy()) for i, v in enumerate(variables)}


def put_values(variables: Sequence[Any], kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Assign to variables the values that `take_values` copied from them.

    Raises:
        KeyError: A value is missing.
        ValueError: Values are of other variables.
    """
    stored = part_of(arrays, kind)
    if len(stored) != len(variables):
        raise ValueError(f"{len(stored)} values for {len(variables)} {kind} variables.")
    for i, variable in enumerate(variables):
        values = stored[f"{i:05d}"]
        if values.dtype.kind == "V":
            # NumPy does not know bfloat16 and has loaded raw bytes.
            values = values.view(tf.as_dtype(variable.dtype).as_numpy_dtype)
        variable.assign(values)


def find_generators(model: keras.Model) -> list[keras.Variable]:
    """Find the states of random generators: variables of the model that are not weights."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def find_optimizer_variables(model: keras.Model) -> list[Any]:
    """Find the variables of a model's optimizer and of its float16 wrapper, if any."""
    every = [*block_rates(model.optimizer).variables, *model.optimizer.variables]
    return list({id(variable): variable for variable in every}.values())
