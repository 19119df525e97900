"""The process that times training steps of a backbone on random examples.

It runs as a module. A line of JSON on standard input is the request; each timed setting is a line
of JSON on standard output, the most promising settings first. See `kft.timing.benchmark`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import IO, Any

import keras
import tensorflow as tf

from kft.backbones import BACKBONES, load_backbone
from kft.config import PRETRAINED, BackboneConfig, DataConfig
from kft.errors import KftError, first_line
from kft.machine import peak_memory
from kft.modalities import load_modality
from kft.model import Assembled, assemble, find_input_specs
from kft.optimization import seed_everything, set_precision
from kft.optimization.norm_fusion import fused_norms
from kft.plugins import load_plugins
from kft.tasks.classification.head import ClassificationHead
from kft.timing.record import AS_FAST, Timing

# The number of classes hardly affects the time of a step.
_CLASS_NAMES = tuple(f"class{index}" for index in range(10))
# Batch sizes: up from the default while speed rises, then down while it stays about the same.
UPWARD, DOWNWARD = (32, 64, 128, 256), (16, 8)
# The fastest repetition counts, since disturbances only slow a step down.
_MAX_REPETITIONS = 5
# Total time after which repetitions end.
_SECONDS = 1.0


def main() -> None:
    """Answer the request on standard input."""
    answers = _take_standard_output()

    def answer(values: dict[str, Any]) -> None:
        answers.write(json.dumps(values) + "\n")
        answers.flush()

    request = json.loads(sys.stdin.readline())
    try:
        load_plugins()
        backbone = BackboneConfig(**request.pop("backbone"))
        data = DataConfig(**request.pop("data"))
        for timing in time_settings(partial(make_model, backbone, data), **request):
            answer(asdict(timing))
    except KftError as error:
        answer({"refused": str(error)})


def time_settings(
    make: Callable[[], Assembled],
    precisions: Sequence[str],
    compilers: Sequence[bool],
    max_bytes: int,
) -> Iterator[Timing]:
    """Time batch sizes with the first precision and compiler, then the others at the fastest size.

    Args:
        make: Makes the model, anew for each precision.
        precisions: Keras dtype policies, the default first.
        compilers: Whether XLA compiles the step, the default first.
        max_bytes: Memory that a step may take; 0 if unknown.
    """
    steps = TimedStep(make, precisions[0])
    speeds: dict[int, float] = {}
    for sizes, least in ((UPWARD, 1.0), (DOWNWARD, AS_FAST)):
        for size in sizes:
            if max_bytes and speeds and _peak_bytes() * size / max(speeds) > max_bytes:
                yield Timing(precisions[0], compilers[0], size, note="would not fit into memory")
                break
            fastest_before = max(speeds.values(), default=0.0)
            timing = steps.time(size, compilers[0])
            yield timing
            if timing.examples_per_second is None:
                break
            speeds[size] = timing.examples_per_second
            if speeds[size] < least * fastest_before:
                break
    if not speeds:
        return
    fastest = max(speeds, key=speeds.__getitem__)
    for precision in precisions[1:]:
        yield TimedStep(make, precision).time(fastest, compilers[0])
    # Last, because XLA takes long to compile.
    for jit_compile in compilers[1:]:
        yield steps.time(fastest, jit_compile)


def _take_standard_output() -> IO[str]:
    """Take the pipe to the parent process, and redirect prints of libraries to standard error."""
    kept = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return kept


class TimedStep:
    """A training step of full fine-tuning: forward, backward and AdamW, batch norm frozen.

    The step is traced once for all batch sizes.

    Args:
        make: Makes the model.
        precision: Keras dtype policy.
    """

    def __init__(self, make: Callable[[], Assembled], precision: str) -> None:
        # Seeded like a run, because deterministic operations can be slower.
        seed_everything(0)
        set_precision(precision)
        self._precision = precision
        self._assembled = make()
        self._specs = find_input_specs(self._assembled.model)
        targets = tf.TensorSpec((None,), tf.int32)
        # Kept alive: it holds the optimizer, whose variables the traced function does not hold.
        self._python_step = _make_step(self._assembled)
        self._step = tf.function(self._python_step).get_concrete_function(self._specs, targets)

    def time(self, batch_size: int, jit_compile: bool) -> Timing:
        """Time the fastest repetition, after one call to warm up."""
        call = self._call(batch_size, jit_compile=jit_compile)
        taken: list[float] = []
        try:
            call()
            while len(taken) < _MAX_REPETITIONS and sum(taken) < _SECONDS:
                started = time.perf_counter()
                call()
                taken.append(time.perf_counter() - started)
        # Whatever the error is, the setting cannot be used.
        except Exception as error:
            note = f"{type(error).__name__}: {first_line(error)}"
            return Timing(self._precision, jit_compile, batch_size, note=note)
        speed = round(batch_size / min(taken), 1)
        return Timing(self._precision, jit_compile, batch_size, speed, _peak_bytes() or None)

    def _call(self, batch_size: int, *, jit_compile: bool) -> Callable[[], Any]:
        """Make a call that returns when the step is done."""
        inputs = {name: _draw(spec, batch_size) for name, spec in self._specs.items()}
        targets = tf.zeros((batch_size,), tf.int32)
        # Wrapping the traced function lets XLA compile it without tracing the model again.
        step = tf.function(self._step, jit_compile=True) if jit_compile else self._step
        return lambda: step(inputs, targets).numpy()


def make_model(config: BackboneConfig, data: DataConfig) -> Assembled:
    """Assemble the model of a pipeline, with inputs of a usual size where the data decide it."""
    if config.name in BACKBONES and config.weights == PRETRAINED:
        # As fast, and nothing is downloaded.
        config = config.model_copy(update={"weights": "random"})
    backbone = load_backbone(config)
    modality = load_modality(backbone.input_spec.modality)
    spec = modality.suppose_spec(backbone.input_spec, modality.settings_of(data))
    assembled = assemble(replace(backbone, input_spec=spec), ClassificationHead(_CLASS_NAMES))
    assembled.blocks.set_trainable(assembled.blocks.names, batch_norm="frozen")
    return assembled


def _draw(spec: tf.TensorSpec, batch_size: int) -> tf.Tensor:
    """Draw random inputs; whole numbers are ones, which every vocabulary and mask has."""
    shape = (batch_size, *spec.shape[1:])
    if not spec.dtype.is_floating:
        return tf.ones(shape, spec.dtype)
    return tf.random.stateless_uniform(shape, (0, 0), maxval=255.0)


def _make_step(assembled: Assembled) -> Callable[[Mapping[str, tf.Tensor], tf.Tensor], tf.Tensor]:
    model, loss = assembled.model, assembled.head.make_loss()
    variables = model.trainable_variables
    optimizer = keras.optimizers.AdamW(1e-6)
    optimizer.build(variables)

    def step(inputs: Mapping[str, tf.Tensor], targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape, fused_norms(model):
            value = loss(targets, model(inputs, training=True))
        gradients = tape.gradient(value, [variable.value for variable in variables])
        optimizer.apply(gradients, variables)
        return value

    return step


def _peak_bytes() -> int:
    """Peak memory of the process or GPU so far; 0 if unknown."""
    if tf.config.list_physical_devices("GPU"):
        return int(tf.config.experimental.get_memory_info("GPU:0")["peak"])
    return peak_memory()


if __name__ == "__main__":
    main()
