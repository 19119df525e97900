"""Engines, which run a model's forward pass on batches of pixels: Keras, LiteRT, OpenVINO."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
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
from kft.model import compile_forward
from kft.stderr_filter import filter_stderr

Engine = Callable[[Any], np.ndarray]
"""Function from inputs (batch, …), a tensor or array, to float32 outputs (batch, …)."""

# Examples that LiteRT and OpenVINO compute at once. They plan memory for one fixed size. Eight
# pictures keep two cores busy; more would exceed the processor's cache.
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
        model: One input, one output.
        activate: Applied to the output, inside the graph.
        parts: A forward pass that is its beginning, traced already or not, and a model of what
            follows.
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

    def __call__(self, inputs: Any) -> tf.Tensor:
        """Compute float32 outputs (batch, …) of inputs (batch, …) with the current weights."""
        outputs = tf.convert_to_tensor(inputs)
        for graph in self._graphs:
            outputs = graph(outputs)
        return outputs

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
        traced = graphs[0] if len(graphs) == 1 else _join(graphs)
        # Folding creates so many objects that Python's garbage collector scans all those of
        # TensorFlow again and again: this took four fifths of the time.
        with _without_notices(), without_collection():
            return convert_variables_to_constants_v2(traced)

    @property
    def piece_shape(self) -> tuple[int, ...]:
        """Input shape (PIECE, …) of engines that plan for one size.

        Raises:
            ValueError: The size of the model's inputs is not fixed.
        """
        shape = tuple(self.model.inputs[0].shape[1:])
        if None in shape:
            raise ValueError(f"inputs of shape {shape} have no fixed size")
        return (PIECE, *shape)


def _join(graphs: Sequence[Any]) -> Any:
    """Chain several graphs into one."""

    @tf.function(autograph=False)
    def joined(inputs: tf.Tensor) -> tf.Tensor:
        for graph in graphs:
            inputs = graph(inputs)
        return inputs

    given = graphs[0].inputs[0]
    return joined.get_concrete_function(tf.TensorSpec(given.shape, given.dtype))


def make_engine(name: str, forward: Forward) -> Engine:
    """Make one of `ENGINES`, ready for its first batch.

    Raises:
        ConfigError: The engine needs a package that is not installed.
        Exception: The engine's converter does not support the model; each raises its own error.
    """
    return ENGINES[name](forward)


def _make_keras(forward: Forward) -> Engine:
    return lambda inputs: forward(inputs).numpy()


def _make_litert(forward: Forward) -> Engine:
    from ai_edge_litert.interpreter import Interpreter

    shape, folded = forward.piece_shape, forward.folded
    with _without_notices():
        # From the folded graph: converting the graph with variables takes ten times as long, and
        # some of its outputs were NaN.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([folded])
        interpreter = Interpreter(model_content=converter.convert(), num_threads=default_threads())
        given = interpreter.get_input_details()[0]["index"]
        wanted = interpreter.get_output_details()[0]["index"]
        interpreter.resize_tensor_input(given, shape)
        interpreter.allocate_tensors()

    def run(piece: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(given, piece)
        interpreter.invoke()
        return interpreter.get_tensor(wanted)

    return _in_pieces(run)


def _make_openvino(forward: Forward) -> Engine:
    try:
        import openvino
    except ImportError:
        raise ConfigError(
            "features.engine: OpenVINO is not installed. Run `pip install 'kft[openvino]'`, or "
            "choose `auto`, `keras` or `litert`."
        ) from None
    shape = forward.piece_shape
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pb")
        path.write_bytes(forward.folded.graph.as_graph_def().SerializeToString())
        model = core.read_model(path)
    model.reshape(list(shape))
    # One stream over all threads, because batches are computed one after the other.
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        # By default it computes in bfloat16 where the processor supports it.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": default_threads(),
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()

    def run(piece: np.ndarray) -> np.ndarray:
        # Copied, because the next piece overwrites the output.
        return np.array(request.infer({0: piece}, share_inputs=True)[0], np.float32)

    return _in_pieces(run)


ENGINES: dict[str, Callable[[Forward], Engine]] = {
    "keras": _make_keras,
    "litert": _make_litert,
    "openvino": _make_openvino,
}


def _in_pieces(run: Callable[[np.ndarray], np.ndarray]) -> Engine:
    """Wrap a function of PIECE examples into an engine for any batch size."""

    def compute(inputs: Any) -> np.ndarray:
        values = _as_array(inputs)
        outputs = []
        for start in range(0, len(values), PIECE):
            piece = values[start : start + PIECE]
            count = len(piece)
            if count < PIECE:
                # Examples are independent: the padding changes no output.
                padding = np.zeros((PIECE - count, *piece.shape[1:]), piece.dtype)
                piece = np.concatenate([piece, padding])
            outputs.append(run(piece)[:count])
        return np.concatenate(outputs)

    return compute


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
