"""Benchmark of a backbone's training steps in a separate process, to find the fastest settings."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from kft.backbones.defaults import choose_backbone
from kft.config import Pipeline
from kft.errors import BackboneError
from kft.machine import (
    available_memory,
    default_threads,
    describe_machine,
    load_average,
    num_cores,
    threads_environment,
)
from kft.plugins import child_environment
from kft.runs.storage import check_cache
from kft.timing.record import (
    AS_FAST,
    DEFAULT_BATCH_SIZE,
    DEFAULT_PRECISION,
    Measured,
    Timing,
    describe_model,
    save_measured,
)

BUDGET_SECONDS = 30.0
# Timings of half a second vary by some percent: a smaller gain does not replace a default.
LEAST_GAIN = 1.10
# Share of the available memory for a step; the rest is for data, evaluation and the system.
MEMORY_SHARE = 0.6
# Above this load per core, other processes are likely to disturb the timing.
_BUSY_SHARE = 0.5


def benchmark(
    pipeline: Pipeline,
    say: Callable[[str], None],
    *,
    budget_seconds: float = BUDGET_SECONDS,
) -> Measured:
    """Find the fastest precision, batch size and use of XLA, and record them.

    Full training steps of the pipeline's backbone are timed in one process, with random weights
    and random inputs; no data is read. Settings that the pipeline fixes are kept. A default is
    replaced only by a setting that is 10 % faster.

    Args:
        pipeline: Pipeline whose backbone and `training` section are timed.
        say: Called with a line about each step of the benchmark.
        budget_seconds: Time after which the benchmark ends with the timings so far; without any
            timing, nothing is recorded.

    Raises:
        BackboneError: The backbone does not load, or the timing process died before the first
            step.
        StorageError: The cache folder, which would hold the record, is not writable.
    """
    check_cache()
    pipeline = choose_backbone(pipeline)
    started = time.monotonic()
    say(f"Timing {describe_model(pipeline)} for up to {budget_seconds:.0f} s")
    if load_average() > _BUSY_SHARE * num_cores():
        say(
            f"  Load over the last minute: {load_average():.1f} processes on {num_cores()} cores; "
            "the figures will be rough. Run it again when the machine is idle."
        )
    timings = tuple(_time_in_child(pipeline, budget_seconds))
    precision, jit_compile, batch_size = choose(timings, pipeline)
    machine = describe_machine()
    measured = Measured(
        precision=precision,
        jit_compile=jit_compile,
        batch_size=batch_size,
        timings=timings,
        seconds=round(time.monotonic() - started, 1),
        backbone=describe_model(pipeline),
        machine=f"{machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gigabytes']} GB, {machine['gpus']} GPUs",
        measured_at=datetime.now().isoformat(timespec="seconds"),
    )
    if not measured.is_empty:
        save_measured(pipeline, measured)
    return measured


def choose(timings: Sequence[Timing], pipeline: Pipeline) -> tuple[str, bool, int]:
    """Choose precision, use of XLA and batch size.

    Args:
        timings: The benchmark's timings.
        pipeline: Pipeline, whose fixed settings are kept.

    Returns:
        Keras dtype policy, whether XLA compiles the step, and examples per step.
    """
    training = pipeline.training
    precision = DEFAULT_PRECISION if training.precision == "auto" else training.precision
    jit_compile = training.jit_compile is True
    default = (precision, jit_compile)
    speeds: dict[tuple[str, bool], dict[int, float]] = {default: {}}
    for timing in timings:
        if timing.examples_per_second is not None:
            key = (timing.precision, timing.jit_compile)
            speeds.setdefault(key, {})[timing.batch_size] = timing.examples_per_second
    # Speeds are comparable only at a batch size at which both were timed.
    best = default
    for key, by_size in speeds.items():
        shared = by_size.keys() & speeds[best].keys()
        if any(by_size[size] > LEAST_GAIN * speeds[best][size] for size in shared):
            best = key
    sizes = speeds[default]
    fastest = max(sizes.values(), default=0.0)
    fast = [size for size, speed in sizes.items() if speed >= AS_FAST * fastest]
    return *best, min(fast, default=DEFAULT_BATCH_SIZE)


def _time_in_child(pipeline: Pipeline, budget_seconds: float) -> Iterator[Timing]:
    """Run the timing process; yield its timings until its time is up or it dies."""
    environment = {
        **child_environment(),
        **threads_environment(_threads(pipeline)),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "kft.timing.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
        )
        timer = threading.Timer(budget_seconds, child.kill)
        timer.start()
        try:
            assert child.stdin is not None and child.stdout is not None
            # A child that died at once is reported below.
            with suppress(BrokenPipeError), child.stdin:
                child.stdin.write(json.dumps(_request(pipeline)) + "\n")
            for line in child.stdout:
                answer = json.loads(line)
                if "refused" in answer:
                    raise BackboneError(answer["refused"])
                yield Timing(**answer)
            child.wait()
            if timer.is_alive() and child.returncode:
                errors.seek(0)
                last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
                raise BackboneError(
                    f"backbone.name: the process that timed {pipeline.backbone.name!r} died: "
                    f"{''.join(last)}"
                )
        finally:
            timer.cancel()
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()


def _threads(pipeline: Pipeline) -> int:
    given = pipeline.training.threads
    return default_threads() if given == "auto" else int(given)


def _request(pipeline: Pipeline) -> dict[str, Any]:
    """Request for the timing process, as JSON values."""
    training = pipeline.training
    return {
        "backbone": pipeline.backbone.model_dump(mode="json"),
        "data": pipeline.data.model_dump(mode="json"),
        "precisions": [DEFAULT_PRECISION, "mixed_bfloat16"]
        if training.precision == "auto"
        else [training.precision],
        "compilers": [False, True] if training.jit_compile == "auto" else [training.jit_compile],
        "max_bytes": int(MEMORY_SHARE * available_memory()),
    }
