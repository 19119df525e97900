"""Engines: what runs a model's forward pass on batches of pixels."""

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
"""Inputs (batch, …), a tensor or an array -> float32 outputs (batch, …), for any batch size."""

# Examples that LiteRT and OpenVINO see at once. They plan memory for one fixed size, and eight
# pictures keep two cores busy; more of them only leave the processor's cache.
PIECE = 8

# What folding and LiteRT say on the error stream each time, whatever the log level.
_NOTICE = re.compile(
    rb"INFO: (Created|Initialized) TensorFlow Lite|"
    rb"[IW]\d{4} .*(devices\.cc|single_machine\.cc|tf_tfl_flatbuffer_helpers\.cc)"
)


class Forward:
    """A model's forward pass in inference, traced and folded once for all engines made of it.

    The folded graph holds the weights as they are when it is first asked for.

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
        """float32 outputs (batch, …) of inputs (batch, …), by the weights as they are now."""
        passed = tf.convert_to_tensor(inputs)
        for graph in self._graphs:
            passed = graph(passed)
        return passed

    @cached_property
    def _graphs(self) -> tuple[Any, ...]:
        """They read the model's variables; what one gives, the next takes."""
        if self._parts is None:
            return (compile_forward(self.model, self._activate),)
        beginning, rest = self._parts
        return (*beginning._graphs, compile_forward(rest, self._activate))

    @cached_property
    def folded(self) -> Any:
        """The graph with its variables as constants."""
        # TensorFlow shows this in no public name; its own converters go this way.
        from tensorflow.python.framework.convert_to_constants import (
            convert_variables_to_constants_v2,
        )

        graphs = self._graphs
        traced = graphs[0] if len(graphs) == 1 else _join(graphs)
        # Folding makes and drops so many objects that Python looks through all those of
        # TensorFlow again and again, for nothing: that took four fifths of the time.
        with _without_notices(), without_collection():
            return convert_variables_to_constants_v2(traced)

    @property
    def piece_shape(self) -> tuple[int, ...]:
        """(PIECE, …): inputs of the engines that plan for one size.

        Raises:
            ValueError: The model takes inputs of more than one size.
        """
        shape = tuple(self.model.inputs[0].shape[1:])
        if None in shape:
            raise ValueError(f"inputs of shape {shape} have no fixed size")
        return (PIECE, *shape)


def _join(graphs: Sequence[Any]) -> Any:
    """One graph of several."""

    @tf.function(autograph=False)
    def joined(inputs: tf.Tensor) -> tf.Tensor:
        for graph in graphs:
            inputs = graph(inputs)
        return inputs

    given = graphs[0].inputs[0]
    return joined.get_concrete_function(tf.TensorSpec(given.shape, given.dtype))


def make_engine(name: str, forward: Forward) -> Engine:
    """The engine of one of `ENGINES`, ready for its first batch.

    Raises:
        ConfigError: It needs a package that is not installed.
        Exception: Whatever its converter raises for a model that it cannot take.
    """
    return ENGINES[name](forward)


def _make_keras(forward: Forward) -> Engine:
    return lambda inputs: forward(inputs).numpy()


def _make_litert(forward: Forward) -> Engine:
    from ai_edge_litert.interpreter import Interpreter

    shape, folded = forward.piece_shape, forward.folded
    with _without_notices():
        # Of the folded graph: converting the one with variables takes ten times as long, and
        # some of its answers were NaN.
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
    # One stream over all threads: the batches come one after the other.
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        # Else it computes in bfloat16 where the processor can.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": default_threads(),
    }
    request = core.compile_model(model, "CPU", options).create_infer_request()

    def run(piece: np.ndarray) -> np.ndarray:
        # A copy: the next piece overwrites what it gave.
        return np.array(request.infer({0: piece}, share_inputs=True)[0], np.float32)

    return _in_pieces(run)


ENGINES: dict[str, Callable[[Forward], Engine]] = {
    "keras": _make_keras,
    "litert": _make_litert,
    "openvino": _make_openvino,
}


def _in_pieces(run: Callable[[np.ndarray], np.ndarray]) -> Engine:
    """An engine for any batch size, of one for PIECE examples."""

    def compute(inputs: Any) -> np.ndarray:
        values = _as_array(inputs)
        outputs = []
        for start in range(0, len(values), PIECE):
            piece = values[start : start + PIECE]
            count = len(piece)
            if count < PIECE:
                # Examples do not see each other: what fills the piece changes nothing.
                padding = np.zeros((PIECE - count, *piece.shape[1:]), piece.dtype)
                piece = np.concatenate([piece, padding])
            outputs.append(run(piece)[:count])
        return np.concatenate(outputs)

    return compute


def _as_array(inputs: Any) -> np.ndarray:
    """The numbers of a tensor, without a copy where it lies in this memory."""
    try:
        return np.asarray(memoryview(inputs))
    except (TypeError, ValueError, BufferError):
        return np.asarray(inputs)


@contextmanager
def _without_notices() -> Iterator[None]:
    logger = logging.getLogger("absl")
    with filter_stderr(_NOTICE):
        logger.addFilter(_is_no_advice)
        try:
            yield
        finally:
            logger.removeFilter(_is_no_advice)


def _is_no_advice(record: logging.LogRecord) -> bool:
    # LiteRT asks for the model beside the folded graph, which leads to the conversion that is
    # slow and wrong.
    return "trackable_obj" not in record.getMessage()
