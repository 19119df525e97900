"""Processes that run training steps on demand, each for one precision and number of threads.

They prepare side by side, since building and tracing keep one core busy; they run their steps
one after another, since two at once would disturb each other.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

import kft
from kft.config import Pipeline
from kft.errors import BackboneError
from kft.machine import threads_environment

Work = Literal["step", "forward"]


@dataclass(frozen=True)
class Variant:
    """What a process is started with: Keras dtype policy and threads of an operation."""

    precision: str
    threads: int


@dataclass(frozen=True)
class Order:
    """What a process is asked to time.

    Attributes:
        batch_size: Examples in a step.
        work: A 'step' of training, or the 'forward' pass alone.
        jit_compile: Whether XLA compiles it.
        seconds: Repeat it for about so long.
    """

    batch_size: int
    work: Work = "step"
    jit_compile: bool = False
    seconds: float = 0.5


@dataclass(frozen=True)
class Timing:
    """An answer: seconds of the fastest repetition, and most bytes of memory so far."""

    seconds: float
    peak_bytes: int | None


class OutOfTimeError(Exception):
    """No answer within its time; the process is ended."""


class WorkError(Exception):
    """The process could not do it, or died of it; the message says why."""


class Bench:
    """Starts, asks and ends the processes; a context manager that leaves none behind.

    Args:
        pipeline: Whose backbone they build.
    """

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._workers: dict[Variant, _Worker] = {}

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(list(self._workers))

    def start(self, variants: Iterable[Variant]) -> None:
        """Start a process for each variant, all at once."""
        for variant in variants:
            self._workers[variant] = _Worker(self._pipeline, variant)

    def await_ready(self, variant: Variant, limit_seconds: float) -> int | None:
        """Wait until a process has built its model and run a first step of one example.

        Returns:
            Most bytes of memory so far; None if unknown.

        Raises:
            OutOfTimeError: It has not, within the limit.
            BackboneError: There is no such backbone.
            WorkError: It died.
        """
        peak_bytes: int | None = self._receive(variant, limit_seconds)["peak_bytes"]
        return peak_bytes

    def run(self, variant: Variant, order: Order, limit_seconds: float) -> Timing:
        """The time that a process needs for what is ordered.

        Raises:
            OutOfTimeError: It is not done within the limit.
            WorkError: It cannot, or died.
        """
        self._find(variant).send(asdict(order))
        return Timing(**self._receive(variant, limit_seconds))

    def end(self, variants: Iterable[Variant]) -> None:
        """End processes, and with them their use of memory."""
        for variant in variants:
            if variant in self._workers:
                self._workers.pop(variant).end()

    def _find(self, variant: Variant) -> _Worker:
        if variant not in self._workers:
            raise WorkError("its process has ended")
        return self._workers[variant]

    def _receive(self, variant: Variant, limit_seconds: float) -> dict[str, Any]:
        try:
            answer = self._find(variant).receive(limit_seconds)
        except (OutOfTimeError, WorkError):
            self.end([variant])
            raise
        if "refused" in answer:
            raise BackboneError(answer["refused"])
        if "failed" in answer:
            raise WorkError(answer["failed"])
        return answer


class _Worker:
    """One process: orders go in and answers come out as lines of JSON."""

    def __init__(self, pipeline: Pipeline, variant: Variant) -> None:
        source = str(Path(kft.__file__).parent.parent)
        environment = os.environ | threads_environment(variant.threads)
        # The same kft as here, installed or not.
        path = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
        environment |= {
            "PYTHONPATH": path,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            # Several processes share a GPU: none may take all of its memory.
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        }
        # Closed by `end`.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kft.measuring.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        # A thread that reads: a pipe cannot be read with a time limit on every system.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        backbone = pipeline.backbone.model_dump(mode="json")
        self.send({"backbone": backbone, "precision": variant.precision})

    def send(self, message: dict[str, Any]) -> None:
        """Hand it a line; one that has died is found out by its missing answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return

    def receive(self, limit_seconds: float) -> dict[str, Any]:
        """Its next answer.

        Raises:
            OutOfTimeError: None came within the limit.
            WorkError: None will come.
        """
        try:
            line = self._answers.get(timeout=max(0.0, limit_seconds))
        except queue.Empty:
            raise OutOfTimeError from None
        if line is None:
            raise WorkError(f"its process died: {self._last_words()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """Kill it, and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit code {self._process.returncode}"


class Deadline:
    """Seconds left of a budget.

    Args:
        budget_seconds: From now on.
        clock: Seconds that only rise.
    """

    def __init__(self, budget_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self.budget = budget_seconds

    @property
    def spent(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._begun

    @property
    def left(self) -> float:
        """Seconds until the end; below zero after it."""
        return self.budget - self.spent
