"""Times training steps of a backbone on random pixels, in a process of its own.

Run as a module: the first line of standard input says what to build, each further line what to
time; each gets a line of JSON as its answer. See `kft.measuring.bench`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import IO, Any

import keras
import tensorflow as tf

from kft.backbones import BACKBONES, load_backbone
from kft.config import BackboneConfig
from kft.errors import KftError
from kft.heads.classification import ClassificationHead
from kft.machine import peak_memory
from kft.model import Assembled, assemble
from kft.training import seed_everything, set_precision
from kft.training.fusing import fused_norms

# The number of classes hardly changes the work.
_CLASS_NAMES = tuple(f"class{index}" for index in range(10))
# It stands in a table.
_LONGEST_MESSAGE = 120
# The fastest of so many says it: what disturbs a step only slows it.
_MOST_REPETITIONS = 5


def main() -> None:
    """Build, say so, then answer orders until standard input ends."""
    answers = _take_standard_output()

    def answer(values: dict[str, Any]) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    order = json.loads(sys.stdin.readline())
    try:
        steps = Steps(BackboneConfig(**order["backbone"]), order["precision"])
    except KftError as error:
        answer({"refused": str(error)})
        return
    answer({"peak_bytes": _peak_bytes()})
    for line in sys.stdin:
        try:
            answer(steps.time(**json.loads(line)))
        except Exception as error:  # whatever it is, the candidate cannot be used
            answer({"failed": f"{type(error).__name__}: {_first_words(error)}"})


def _first_words(error: Exception) -> str:
    """The first line that says something, which in a traced function is not the very first."""
    lines = (line.strip() for line in str(error).splitlines())
    said = (line for line in lines if line and not line.endswith("user code:"))
    return next(said, "")[:_LONGEST_MESSAGE]


def _take_standard_output() -> IO[str]:
    """The pipe to whoever started this process; what libraries print goes to standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


class Steps:
    """Training steps of full fine-tuning: forward, backward and AdamW, batch norm frozen.

    The step is traced once, for every batch size.

    Args:
        config: The backbone; a registered one gets random weights, which are as fast.
        precision: Keras dtype policy.
    """

    def __init__(self, config: BackboneConfig, precision: str) -> None:
        # As a run does, for deterministic operations can be slower.
        seed_everything(0)
        set_precision(precision)
        self._assembled = _assemble(config)
        model = self._assembled.model
        self._shape = tuple(model.input_shape[1:])
        pixels = tf.TensorSpec((None, *self._shape), tf.float32)
        targets = tf.TensorSpec((None,), tf.int32)
        # Kept, since it holds the optimizer, whose variables a traced function does not hold.
        self._python_step = _make_step(self._assembled)
        self._step = tf.function(self._python_step).get_concrete_function(pixels, targets)
        self._forward = tf.function(
            lambda pixels: model(pixels, training=False), input_signature=[pixels]
        )
        # The first call prepares what all others use.
        self._call("step", 1, jit_compile=False)()

    def time(
        self, batch_size: int, work: str, jit_compile: bool, seconds: float
    ) -> dict[str, float | int | None]:
        """Seconds of the fastest repetition, and the most memory so far in bytes.

        Args:
            batch_size: Examples.
            work: 'step' or 'forward'.
            jit_compile: Whether XLA compiles it; one call comes before those that count.
            seconds: Repeat it for about so long.
        """
        call = self._call(work, batch_size, jit_compile=jit_compile)
        call()
        taken: list[float] = []
        while len(taken) < _MOST_REPETITIONS and sum(taken) < seconds:
            begun = time.perf_counter()
            call()
            taken.append(time.perf_counter() - begun)
        return {"seconds": min(taken), "peak_bytes": _peak_bytes()}

    def _call(self, work: str, batch_size: int, *, jit_compile: bool) -> Callable[[], Any]:
        """A call that returns when the work is done."""
        pixels = tf.random.stateless_uniform((batch_size, *self._shape), (0, 0), maxval=255.0)
        inputs = [pixels]
        function: Any = self._forward
        if work == "step":
            inputs.append(tf.zeros((batch_size,), tf.int32))
            function = self._step
        if jit_compile:
            # Around the traced function: XLA compiles it without tracing the model again.
            function = tf.function(function, jit_compile=True)
        return lambda: function(*inputs).numpy()


def _assemble(config: BackboneConfig) -> Assembled:
    if config.name in BACKBONES:
        config = config.model_copy(update={"weights": "random"})
    assembled = assemble(load_backbone(config), ClassificationHead(_CLASS_NAMES))
    assembled.blocks.set_trainable(assembled.blocks.names, batch_norm="frozen")
    return assembled


def _make_step(assembled: Assembled) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    model, loss = assembled.model, assembled.head.make_loss()
    variables = model.trainable_variables
    optimizer = keras.optimizers.AdamW(1e-6)
    optimizer.build(variables)

    def step(pixels: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape, fused_norms(model):
            value = loss(targets, model(pixels, training=True))
        gradients = tape.gradient(value, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return value

    return step


def _peak_bytes() -> int | None:
    if tf.config.list_physical_devices("GPU"):
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    return peak_memory() or None


if __name__ == "__main__":
    main()
