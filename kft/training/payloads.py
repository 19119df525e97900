"""What outlives a step: JSON values and arrays that a checkpoint holds of each part of a run."""

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
    """A part whose state a resumed run needs."""

    def pack(self) -> Payload:
        """JSON values and arrays."""

    def unpack(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Be as the one that packed them."""


def join_payloads(payloads: Mapping[str, Payload]) -> Payload:
    """The payloads of several parts as one; `find_payload` takes them apart."""
    state = {name: of_part for name, (of_part, _) in payloads.items()}
    arrays = {
        f"{name}/{key}": values
        for name, (_, own) in payloads.items()
        for key, values in own.items()
    }
    return state, arrays


def find_payload(name: str, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Payload:
    """The payload of one part."""
    return state[name], part_of(arrays, name)


def take_values(variables: Sequence[Any], kind: str) -> Arrays:
    """The values of variables, by their place among those of a kind."""
    return {f"{kind}/{i:05d}": np.array(v.numpy()) for i, v in enumerate(variables)}


def put_values(variables: Sequence[Any], kind: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Give variables the values that `take_values` took of the same ones."""
    stored = part_of(arrays, kind)
    assert len(stored) == len(variables), f"{len(stored)} of {len(variables)} {kind} variables"
    for i, variable in enumerate(variables):
        values = stored[f"{i:05d}"]
        if values.dtype.kind == "V":
            # NumPy does not know bfloat16, and gave its bytes back.
            values = values.view(tf.as_dtype(variable.dtype).as_numpy_dtype)
        variable.assign(values)


def find_generators(model: keras.Model) -> list[keras.Variable]:
    """States of random generators: variables of the model that are no weights."""
    weights = {id(variable) for variable in model.weights}
    return [variable for variable in model.variables if id(variable) not in weights]


def find_optimizer_variables(model: keras.Model) -> list[Any]:
    """Those of a model's optimizer, of float16's wrapper and of what it wraps."""
    every = [*block_rates(model.optimizer).variables, *model.optimizer.variables]
    return list({id(variable): variable for variable in every}.values())
