"""Engines, which run a model's forward pass on batches of examples: Keras, LiteRT, OpenVINO."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.errors import ConfigError
from kft.garbage import without_collection
from kft.machine import default_threads
from kft.model import compile_forward, find_input_specs
from kft.stderr_filter import filter_stderr

Arrays = dict[str, np.ndarray]
"""Arrays (batch, …) by name; a model with a single output names it `OUTPUT`."""
Engine = Callable[[Mapping[str, Any]], Arrays]
"""Function from inputs (batch, …), tensors or arrays by name, to outputs."""
OUTPUT = "output"

# Examples that LiteRT and OpenVINO compute at once. They plan memory for one fixed size. Eight
# examples keep two cores busy; more would exceed the processor's cache.
PIECE = 8

# Messages that folding and LiteRT always print on the error stream, at any log level.
_NOTICE = re.compile(
    rb"INFO: (Created|Initialized) TensorFlow Lite|"
    rb"[IW]\d{4} .*(devices\.cc|single_machine\.cc|tf_tfl_flatbuffer_helpers\.cc)"
)


class Forward:
    """A model's forward pass in inference mode, traced and folded once for all engines.

    The folded graph holds the weights at the time of its first use.

    Args:
        model: Model with named inputs, and one output or a mapping of names to outputs.
        activate: Activation applied to each output, inside the graph.
        parts: Forward pass of the model's beginning, traced already or not, and a model of the
            rest, whose inputs are the outputs of the beginning.
    """

    def __init__(
        self,
        model: keras.Model,
        activate: Callable[[Any], Any] = tf.identity,
        *,
        parts: tuple[Forward, keras.Model] | None = None,
    ) -> None:
        self.model = model
        self._activate = activate
        self._parts = parts

    def __call__(self, inputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        """Compute outputs (batch, …) by name from inputs (batch, …), with the current weights."""
        outputs: Any = {name: tf.convert_to_tensor(each) for name, each in inputs.items()}
        for graph in self._graphs:
            outputs = graph(outputs)
        return _by_name(outputs)

    @cached_property
    def _graphs(self) -> tuple[Any, ...]:
        """Graphs to call one after the other, which read the model's variables."""
        if self._parts is None:
            return (compile_forward(self.model, self._activate),)
        beginning, rest = self._parts
        return (*beginning._graphs, compile_forward(rest, self._activate))

    @cached_property
    def folded(self) -> Any:
        """Graph with the variables folded into constants."""
        # TensorFlow has no public name for this; its own converters use it.
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        graphs = self._graphs
        specs = find_input_specs(self.model)
        traced = graphs[0] if len(graphs) == 1 else _join(graphs, specs)
        # Folding creates so many objects that Python's garbage collector scans all those of
        # TensorFlow again and again: this took four fifths of the time.
        with _without_notices(), without_collection():
            return convert_variables_to_constants_v2(traced)

    @property
    def piece_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape (PIECE, …) of each input, for engines that plan for one size.

        Raises:
            ValueError: The size of an input is not fixed.
        """
        shapes = {name: tuple(each.shape[1:]) for name, each in self.model.input.items()}
        for name, shape in shapes.items():
            if None in shape:
                raise ValueError(f"input {name!r} of shape {shape} has no fixed size")
        return {name: (PIECE, *shape) for name, shape in shapes.items()}

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, in the order of the folded graph's outputs."""
        output = self.model.output
        return sorted(output) if isinstance(output, Mapping) else [OUTPUT]


def _by_name(outputs: Any) -> dict[str, Any]:
    return dict(outputs) if isinstance(outputs, Mapping) else {OUTPUT: outputs}


def _join(graphs: Sequence[Any], specs: Mapping[str, tf.TensorSpec]) -> Any:
    """Chain several graphs into one."""

    @tf.function(autograph=False)
    def joined(inputs: Mapping[str, tf.Tensor]) -> Any:
        outputs: Any = inputs
        for graph in graphs:
            outputs = graph(outputs)
        return outputs

    return joined.get_concrete_function(dict(specs))


def make_engine(name: str, forward: Forward) -> Engine:
    """Make one of `ENGINES`, ready for its first batch.

    Raises:
        ConfigError: The engine needs a package that is not installed.
        Exception: The engine's converter does not support the model; each raises its own error.
    """
    return ENGINES[name](forward)


def _make_keras(forward: Forward) -> Engine:
    return lambda inputs: {name: each.numpy() for name, each in forward(inputs).items()}


def _make_litert(forward: Forward) -> Engine:
    from ai_edge_litert.interpreter import Interpreter

    shapes, folded = forward.piece_shapes, forward.folded
    with _without_notices():
        # From the folded graph: converting the graph with variables takes ten times as long, and
        # some of its outputs were NaN.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([folded])
        interpreter = Interpreter(model_content=converter.convert(), num_threads=default_threads())
        given = {
            _input_name(each["name"]): each["index"] for each in interpreter.get_input_details()
        }
        wanted = [each["index"] for each in interpreter.get_output_details()]
        for name, shape in shapes.items():
            interpreter.resize_tensor_input(given[name], shape)
        interpreter.allocate_tensors()
    names = forward.output_names

    def run(piece: Mapping[str, np.ndarray]) -> Arrays:
        for name, values in piece.items():
            interpreter.set_tensor(given[name], values)
        interpreter.invoke()
        return {
            name: interpreter.get_tensor(index) for name, index in zip(names, wanted, strict=True)
        }

    return _in_pieces(run)


def _input_name(tensor: str) -> str:
    """Name of the input that a tensor such as 'serving_default_pixels:0' holds."""
    return tensor.removeprefix("serving_default_").partition(":")[0]


def _make_openvino(forward: Forward) -> Engine:
    try:
        import openvino
    except ImportError:
        raise ConfigError(
            "features.engine: OpenVINO is not installed. Run `pip install 'kft[openvino]'`, or "
            "choose `auto`, `keras` or `litert`."
        ) from None
    shapes = forward.piece_shapes
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pb")
        path.write_bytes(forward.folded.graph.as_graph_def().SerializeToString())
        model = core.read_model(path)
    given = {_input_name(each.any_name): each for each in model.inputs}
    model.reshape({given[name]: list(shape) for name, shape in shapes.items()})
    # One stream over all threads, because batches are computed one after the other.
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        # By default it computes in bfloat16 where the processor supports it.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": default_threads(),
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()

    places = {_input_name(each.any_name): place for place, each in enumerate(model.inputs)}
    # OpenVINO lists the outputs in an order of its own.
    wanted = dict(zip(forward.output_names, _output_tensors(forward.folded), strict=True))

    def run(piece: Mapping[str, np.ndarray]) -> Arrays:
        found = request.infer(
            {places[name]: values for name, values in piece.items()}, share_inputs=True
        )
        # Copied, because the next piece overwrites the outputs.
        return {name: np.array(found[tensor]) for name, tensor in wanted.items()}

    return _in_pieces(run)


def _output_tensors(folded: Any) -> list[str]:
    """Names of the folded graph's outputs in OpenVINO."""
    return [tensor.name for tensor in folded.outputs]


ENGINES: dict[str, Callable[[Forward], Engine]] = {
    "keras": _make_keras,
    "litert": _make_litert,
    "openvino": _make_openvino,
}


def _in_pieces(run: Callable[[Mapping[str, np.ndarray]], Arrays]) -> Engine:
    """Wrap a function of PIECE examples into an engine for any batch size."""

    def compute(inputs: Mapping[str, Any]) -> Arrays:
        arrays = {name: _as_array(each) for name, each in inputs.items()}
        size = len(next(iter(arrays.values())))
        found: list[Arrays] = []
        for start in range(0, size, PIECE):
            count = min(PIECE, size - start)
            piece = {name: _pad(each[start : start + count]) for name, each in arrays.items()}
            found.append({name: each[:count] for name, each in run(piece).items()})
        return {name: np.concatenate([each[name] for each in found]) for name in found[0]}

    return compute


def _pad(values: np.ndarray) -> np.ndarray:
    """Pad to PIECE examples; they are independent, so the padding changes no output."""
    if len(values) == PIECE:
        return values
    padding = np.zeros((PIECE - len(values), *values.shape[1:]), values.dtype)
    return np.concatenate([values, padding])


def _as_array(inputs: Any) -> np.ndarray:
    """Convert a tensor to an array, without a copy if it lies in main memory."""
    try:
        return np.asarray(memoryview(inputs))
    except (TypeError, ValueError, BufferError):
        return np.asarray(inputs)


@contextmanager
def _without_notices() -> Iterator[None]:
    logger = logging.getLogger("absl")
    with filter_stderr(_NOTICE):
        logger.addFilter(_is_not_advice)
        try:
            yield
        finally:
            logger.removeFilter(_is_not_advice)


def _is_not_advice(record: logging.LogRecord) -> bool:
    # LiteRT advises passing the model too, which would lead to the slow and wrong conversion.
    return "trackable_obj" not in record.getMessage()
