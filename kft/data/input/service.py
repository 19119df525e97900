"""Batches that the data workers of a tf.data service make: the very ones, in their order."""

from __future__ import annotations

import math
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import tensorflow as tf

from kft.config.service_address import split_address
from kft.data.input.arrivals import StepError, put_in_order
from kft.data.input.stoppable import Stoppable
from kft.errors import ConfigError, TrainingError, first_line

# A minute for what every batch needs, and what the slowest core takes to decode and augment.
_PATIENCE_SECONDS = 60.0
_SECONDS_PER_EXAMPLE = 0.1
_CONNECT_SECONDS = 5.0
# Batches that may come before their turn: some for each data worker, whatever the memory.
_LEAST_ROOM, _MOST_ROOM = 16, 512


class ServiceError(TrainingError):
    """A tf.data service lost a batch, or failed to make one."""


class DataService:
    """A tf.data service whose data workers read, decode and augment in place of this process.

    Each step is computed once, by whichever data worker asks for it next; they
    come in any order and are put back into theirs. What a batch holds is a
    function of its step alone, so it is what this process would have made of
    it, to the last bit, where processors and TensorFlow are the same.

    Args:
        address: `HOST:PORT` or `grpc://HOST:PORT` of the dispatcher.
        megabytes: Memory for batches that come before their turn.
        patience_seconds: How long nothing may come, beside a tenth of a second
            for each example of a batch.

    Attributes:
        address: `HOST:PORT`.
    """

    def __init__(
        self,
        address: str,
        *,
        megabytes: float = 2048.0,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._place = split_address(address)
        self.address = address.removeprefix("grpc://")
        self._bytes = megabytes * 1e6
        self._patience_seconds = patience_seconds
        self._failure: Exception | None = None

    def check(self) -> None:
        """Make sure that somebody listens there, within some seconds.

        Raises:
            ConfigError: Nobody does.
        """
        try:
            self._connect()
        except OSError as error:
            raise ConfigError(
                f"data.service: nobody answers at {self.address} ({error}). Start the dispatcher "
                "of the tf.data service there, or leave data.service out."
            ) from error

    def spread(
        self,
        steps: range,
        load: Callable[[tf.Tensor], tuple[tf.Tensor, Any]],
        *,
        batch_size: int,
        check: Callable[[Sequence[int]], None],
    ) -> tf.data.Dataset:
        """The batches of all steps, in their order.

        Args:
            steps: What `load` is called with, each an int64 ().
            load: Step -> (indices of the examples (batch), the batch). It runs
                in the data workers: TensorFlow alone, no Python.
            batch_size: Examples of a batch.
            check: Called here with the indices of each batch that has come.
        """
        numbered = tf.data.Dataset.range(steps.start, steps.stop, steps.step).map(
            tf.autograph.experimental.do_not_convert(lambda step: (step, *load(step))),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        spec = numbered.element_spec[2]
        room = max(_LEAST_ROOM, min(_MOST_ROOM, int(self._bytes / _count_bytes(spec, batch_size))))

        def receive(reading: Stoppable) -> Iterator[tuple[int, Any]]:
            for step, indices, batch in reading:
                check(indices.numpy().tolist())
                yield int(step), batch

        def generate() -> Iterator[Any]:
            try:
                reading = Stoppable(self._distribute(numbered))
                yield from put_in_order(
                    partial(receive, reading),
                    steps,
                    room=room,
                    patience_seconds=self._patience_seconds + batch_size * _SECONDS_PER_EXAMPLE,
                    is_there=self._is_there,
                    stop=reading.stop,
                )
            except StepError as error:
                number, total = error.step // steps.step + 1, -(-steps.stop // steps.step)
                problem = error.problem.format(step=f"batch {number:,} of {total:,}")
                self._failure = self._make_error(problem)
                raise
            except Exception as error:
                self._failure = error
                raise

        batches = tf.data.Dataset.from_generator(generate, output_signature=spec)
        return batches.apply(tf.data.experimental.assert_cardinality(len(steps)))

    @contextmanager
    def translate_errors(self, name_files: Callable[[], AbstractContextManager]) -> Iterator[None]:
        """Around an iteration: an error of TensorFlow's becomes one that says what was behind it.

        Args:
            name_files: Around an error of TensorFlow's: raises one that names
                files, if some are behind it.

        Raises:
            ServiceError: A batch was lost, or a data worker failed for no reason
                that shows here.
            KftError: What looking at the files raised.
        """
        try:
            yield
        except tf.errors.OpError as error:
            failure, self._failure = self._failure, None
            if failure is not None and not isinstance(failure, tf.errors.OpError):
                # TensorFlow has made text of it.
                raise failure from None
            try:
                with name_files():
                    raise failure or error
            except tf.errors.OpError:
                if failure is None:
                    raise
                raise ServiceError(
                    f"data.service: {self.address}: {_find_cause(failure)} Data workers read "
                    "the pictures themselves: they are to find them, and what is in kft's cache "
                    "folder, under the same paths as this machine, and to run TensorFlow "
                    f"{tf.__version__}."
                ) from error

    def _make_error(self, problem: str) -> ServiceError:
        return ServiceError(
            f"data.service: {self.address} {problem}. A data worker or the dispatcher has ended, "
            "or cannot be reached; start it again."
        )

    def _distribute(self, numbered: tf.data.Dataset) -> tf.data.Dataset:
        # TensorFlow itself would try for ever.
        if not self._is_there():
            raise self._make_error("no longer answers")
        service = tf.data.experimental.service
        # Pixels that were augmented hardly shrink, and to try takes as long as to decode.
        spread = service.distribute(
            service.ShardingPolicy.DYNAMIC, f"grpc://{self.address}", compression=None
        )
        return numbered.apply(spread)

    def _connect(self) -> None:
        socket.create_connection(self._place, timeout=_CONNECT_SECONDS).close()

    def _is_there(self) -> bool:
        try:
            self._connect()
        except OSError:
            return False
        return True


def _find_cause(failure: tf.errors.OpError) -> str:
    """Which data worker failed, and why, without the places in TensorFlow that it went through."""
    found = re.search(r"from worker (\S+): .*Iterator::\S+: (.*)", failure.message)
    return f"data worker {found[1]} failed: {found[2]}." if found else first_line(failure)


def _count_bytes(spec: Any, batch_size: int) -> int:
    """Of a batch: its tensors, whose first axis may be open."""
    tensors = tf.nest.flatten(spec)
    return sum(
        math.prod(batch_size if size is None else size for size in t.shape) * t.dtype.size
        for t in tensors
    )
