"""Batches made by the data workers of a tf.data service, in whatever order they arrive."""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import tensorflow as tf

from kft.config.service_address import split_address
from kft.errors import ConfigError, TrainingError, first_line

# The slowest core needs a tenth of a second to decode and augment a picture: time for a thousand.
_PATIENCE_SECONDS = 120.0
_CONNECT_SECONDS = 5.0


class ServiceError(TrainingError):
    """A tf.data service lost a batch, or failed to make one."""


class DataService:
    """A tf.data service whose data workers read, decode and augment in place of this process.

    Sharding is dynamic: each batch is made once, by whichever data worker asks
    for it next. Batches arrive in any order, and those that a data worker was
    making when it ended never arrive. Source: Audibert et al., tf.data service,
    arXiv:2210.14826.

    Args:
        address: `HOST:PORT` or `grpc://HOST:PORT` of the dispatcher.
        patience_seconds: Longest wait for one batch.
    """

    def __init__(self, address: str, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._place = split_address(address)
        self._address = address.removeprefix("grpc://")
        self._patience_seconds = patience_seconds
        self._failure: Exception | None = None

    def check(self) -> None:
        """Connect to the dispatcher, within seconds.

        Raises:
            ConfigError: Nobody answers.
        """
        try:
            self._connect()
        except OSError as error:
            raise ConfigError(
                f"data.service: nobody answers at {self._address} ({error}). Start the dispatcher "
                "of the tf.data service there, or remove data.service."
            ) from error

    def distribute(
        self, batches: tf.data.Dataset, *, check: Callable[[Sequence[int]], None]
    ) -> tf.data.Dataset:
        """Let the data workers make the batches.

        Args:
            batches: (indices of the examples (batch), batch), of known cardinality. It is
                computed on other machines: TensorFlow alone, no Python.
            check: Called here with the indices of each batch that has arrived.

        Returns:
            The batches, each once, in any order.

        Raises:
            ServiceError: The dispatcher no longer answers.
        """
        try:
            # TensorFlow itself would try for ever.
            self._connect()
        except OSError as error:
            raise ServiceError(
                f"data.service: {self._address} no longer answers ({error}). Start the dispatcher "
                "and its data workers again."
            ) from error
        count = int(batches.cardinality())
        distribute = tf.data.experimental.service.distribute(
            tf.data.experimental.service.ShardingPolicy.DYNAMIC,
            f"grpc://{self._address}",
            # Augmented pixels hardly shrink, and to try takes as long as to decode.
            compression=None,
        )
        arriving = batches.apply(distribute)

        def generate() -> Iterator[Any]:
            try:
                arrivals = iter(arriving)
                for number in range(count):
                    indices, batch = self._wait_for_next(arrivals, f"{number:,} of {count:,}")
                    check(indices.numpy().tolist())
                    yield batch
            except Exception as error:
                self._failure = error
                raise

        received = tf.data.Dataset.from_generator(
            generate, output_signature=batches.element_spec[1]
        )
        return received.apply(tf.data.experimental.assert_cardinality(count))

    def _connect(self) -> None:
        socket.create_connection(self._place, timeout=_CONNECT_SECONDS).close()

    def _wait_for_next(self, arrivals: Iterator[Any], arrived: str) -> Any:
        """The next element, asked for in a thread: TensorFlow waits for ever for what is lost."""
        answer: queue.Queue[Any] = queue.Queue(1)

        def ask() -> None:
            try:
                answer.put(next(arrivals, None))
            except Exception as error:
                answer.put(error)

        threading.Thread(target=ask, name="data service", daemon=True).start()
        try:
            element = answer.get(timeout=self._patience_seconds)
        except queue.Empty:
            element = None
        if isinstance(element, Exception):
            raise element
        if element is None:
            raise ServiceError(
                f"data.service: {self._address} lost batches: {arrived} have arrived, and no more "
                f"within {self._patience_seconds:.0f} seconds. A data worker or the dispatcher has "
                "ended, or cannot be reached; start it again."
            )
        return element

    @contextmanager
    def translate_errors(self, name_files: Callable[[], AbstractContextManager]) -> Iterator[None]:
        """Around an iteration: TensorFlow's errors become errors that name their cause.

        Args:
            name_files: Around an error of TensorFlow's: raises one that names
                files, if some are behind it.

        Raises:
            ServiceError: Batches were lost, or a data worker failed for a reason that does not
                show on this machine.
            KftError: Raised by `name_files`, or by the `check` of a batch.
        """
        try:
            yield
        except tf.errors.OpError as error:
            failure, self._failure = self._failure, None
            if failure is not None and not isinstance(failure, tf.errors.OpError):
                # TensorFlow has turned it into text.
                raise failure from None
            try:
                with name_files():
                    raise failure or error
            except tf.errors.OpError:
                if failure is None:
                    raise
                raise ServiceError(
                    f"data.service: {self._address}: {_find_cause(failure)} Data workers read the "
                    "files themselves: they must find them, and kft's cache folder, under the "
                    f"same paths as this machine, and run TensorFlow {tf.__version__}."
                ) from error


def _find_cause(failure: tf.errors.OpError) -> str:
    """Describe which data worker failed and why, without the call stack inside TensorFlow."""
    found = re.search(r"from worker (\S+): .*Iterator::\S+: (.*)", failure.message)
    return (
        f"data worker {found[1]} failed: {found[2].rstrip('.')}." if found else first_line(failure)
    )
