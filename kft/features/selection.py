"""Selection of the engine: Keras for few examples, LiteRT for many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kft.errors import ConfigError, first_line
from kft.features.engines import Arrays, Engine, Forward, make_engine
from kft.model import flatten_layers

# Converting one layer takes about as long as LiteRT saves on this many examples: some 30 ms per
# layer against 1.3 ms per example, measured with MobileNetV2 at 160 pixels on two cores.
EXAMPLES_PER_LAYER = 20
# Largest allowed difference from Keras, relative to the largest of Keras's numbers.
TOLERANCE = 1e-4


@dataclass(eq=False)
class SelectedEngine:
    """The selected engine, built when it first computes.

    Attributes:
        name: One of `ENGINES`.
        forward: Forward pass that it computes.
        refused: Reason why `auto` rejected LiteRT although it would have been faster; else empty.
        sample_outputs: Its outputs for the sample, if it was compared with Keras.
    """

    name: str
    forward: Forward
    refused: str = ""
    sample_outputs: Arrays | None = None
    _engine: Engine | None = None

    def __call__(self, inputs: Mapping[str, Any]) -> Arrays:
        """Compute the outputs of a batch of inputs, by name."""
        if self._engine is None:
            self._engine = make_engine(self.name, self.forward)
        return self._engine(inputs)


def select_engine(
    forward: Forward,
    sample: Mapping[str, Any],
    *,
    engine: str,
    num_examples: int,
    tolerance: float = TOLERANCE,
) -> SelectedEngine:
    """Select the engine for a model and a number of examples.

    `auto` selects LiteRT from `EXAMPLES_PER_LAYER` examples per layer of the model on, since
    converting takes longer the more layers there are. It selects Keras below that, on a GPU, and
    for a model that computes in float16 or bfloat16, which LiteRT does not support. Any engine
    other than Keras must reproduce Keras's numbers on the sample.

    Args:
        forward: Forward pass to compute.
        sample: One batch of real inputs.
        engine: `features.engine` of the pipeline.
        num_examples: Number of examples to compute.
        tolerance: Largest difference from Keras, relative to the largest of Keras's numbers.

    Raises:
        ConfigError: The engine set by name is not installed, does not support the model, or
            computes other numbers.
    """
    if engine == "keras" or (engine == "auto" and not _pays(forward, num_examples)):
        return SelectedEngine("keras", forward)
    name = "litert" if engine == "auto" else engine
    expected = {name: each.numpy() for name, each in forward(sample).items()}
    try:
        selected = SelectedEngine(name, forward)
        outputs = selected.sample_outputs = selected(sample)
        reason = _find_difference(outputs, expected, tolerance)
    except ConfigError:
        raise
    except Exception as error:  # each converter raises its own
        reason = f"{type(error).__name__}: {first_line(error)[:-1]}"
    if not reason:
        return selected
    if engine == "auto":
        return SelectedEngine("keras", forward, f"{name}: {reason}", expected)
    raise ConfigError(
        f"features.engine: {name!r} cannot compute this model: {reason}. Choose `auto` or `keras`."
    )


def _pays(forward: Forward, num_examples: int) -> bool:
    layers = list(flatten_layers(forward.model))
    return (
        num_examples >= EXAMPLES_PER_LAYER * len(layers)
        and all(layer.compute_dtype in (None, "float32") for layer in layers if layer.weights)
        and not tf.config.list_physical_devices("GPU")
    )


def _find_difference(outputs: Arrays, expected: Arrays, tolerance: float) -> str:
    difference = max(relative_difference(outputs[name], expected[name]) for name in expected)
    if difference <= tolerance:
        return ""
    if not np.isfinite(difference):
        return "its outputs are not finite, or have another shape"
    return (
        f"it differs from Keras by {difference:.2g} of the largest number; allowed is "
        f"{tolerance:.0e}"
    )


def relative_difference(values: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the largest expected number.

    >>> relative_difference(np.array([1.0, 4.5]), np.array([1.0, 5.0]))
    0.1

    Returns:
        The ratio; infinite if a value is not finite or the shapes differ.
    """
    if values.shape != expected.shape or not np.isfinite(values).all():
        return float("inf")
    largest = float(np.abs(expected).max(initial=0.0))
    difference = float(np.abs(values - expected).max(initial=0.0))
    return difference / largest if largest > 0 else difference
