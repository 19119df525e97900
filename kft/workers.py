"""The processes that train one model together: their cluster and their communication."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kft.errors import ConfigError, KftError, LostWorkerError

if TYPE_CHECKING:
    import tensorflow as tf

_FORM = 'expected {"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The processes that train together, and the number of this one.

    Attributes:
        addresses: HOST:PORT of each process; the first is the chief, the only one that writes.
        number: Number of this process, from 0.
        has_chief_task: Whether TF_CONFIG lists the chief apart, so that its worker 0 is number 1.
    """

    addresses: tuple[str, ...]
    number: int
    has_chief_task: bool = False

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief, the one that writes."""
        return self.number == 0


def read_cluster(environ: Mapping[str, str] = os.environ) -> Cluster | None:
    """Read the cluster from the environment variable TF_CONFIG.

    >>> workers = '"cluster": {"worker": ["a:1", "b:1"]}'
    >>> task = '"task": {"type": "worker", "index": 1}'
    >>> read_cluster({"TF_CONFIG": "{" + workers + ", " + task + "}"})
    Cluster(addresses=('a:1', 'b:1'), number=1, has_chief_task=False)

    Args:
        environ: The environment.

    Returns:
        The cluster; None if TF_CONFIG lists fewer than two processes.

    Raises:
        ConfigError: TF_CONFIG is not JSON of the expected form, or names a task that kft does
            not support.
    """
    text = environ.get("TF_CONFIG", "")
    if not text.strip():
        return None
    try:
        value = json.loads(text)
        cluster, task = value.get("cluster", {}), value.get("task", {})
        chief, others = _addresses(cluster, "chief"), _addresses(cluster, "worker")
        is_one = len(chief) + len(others) < 2
        kind = str(task.get("type", "worker") if is_one else task["type"])
        index = int(task.get("index", 0) if is_one else task["index"])
    except (ValueError, TypeError, AttributeError, KeyError):
        raise ConfigError(f"TF_CONFIG: found {text!r}; {_FORM}.") from None
    unknown = sorted(set(cluster) - {"chief", "worker"})
    if unknown or kind not in ("chief", "worker"):
        found = ", ".join(map(repr, unknown or [kind]))
        raise ConfigError(
            f"TF_CONFIG: found task {found}; kft supports the tasks 'worker' and 'chief' only. "
            "Every worker computes its part of each batch, and the first one writes."
        )
    if len(chief) > 1:
        raise ConfigError(f"TF_CONFIG: found {len(chief)} chiefs; at most one is allowed.")
    addresses = (*chief, *others)
    if len(addresses) < 2:
        return None
    own = chief if kind == "chief" else others
    if not 0 <= index < len(own):
        raise ConfigError(
            f"TF_CONFIG: this process is {kind} {index}, but the cluster has {len(own)} of this "
            "type, counted from 0."
        )
    number = index + (len(chief) if kind == "worker" else 0)
    return Cluster(addresses, number, has_chief_task=bool(chief))


def _addresses(cluster: Mapping[str, Any], kind: str) -> list[str]:
    found = cluster.get(kind, [])
    if not isinstance(found, list) or not all(isinstance(address, str) for address in found):
        raise ValueError(kind)
    return found


# Errors that TensorFlow raises in a process that has lost another one.
_OF_LOST_WORKERS = (
    "UnavailableError",
    "AbortedError",
    "CancelledError",
    "DeadlineExceededError",
)


class Workers:
    """Communication between the processes of a cluster.

    Every process must call the same methods in the same order.

    Args:
        cluster: The cluster; None for a single process, which communicates with nobody.
        distribution: Distribution strategy over all devices of the cluster.
    """

    def __init__(
        self,
        cluster: Cluster | None = None,
        distribution: tf.distribute.Strategy | None = None,
    ) -> None:
        self.number = cluster.number if cluster is not None else 0
        self.count = len(cluster.addresses) if cluster is not None else 1
        self._has_chief_task = cluster is not None and cluster.has_chief_task
        self._distribution = distribution
        self._reductions: dict[str, Callable[[np.ndarray], np.ndarray]] = {}

    @property
    def is_chief(self) -> bool:
        """Whether this process is the chief, the one that writes."""
        return self.number == 0

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum int64 or float32 values of equal shape over all workers."""
        if self.count == 1:
            return values
        kind = values.dtype.name
        if kind not in self._reductions:
            self._reductions[kind] = _make_reduction(self._distribution, kind)
        return self._reductions[kind](values.reshape(-1)).reshape(values.shape)

    def wait(self) -> None:
        """Wait until all workers have called this."""
        self.sum(np.zeros(1, np.int64))

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Gather values of equal shape from all workers: (workers, …), exact to the last bit."""
        every = np.zeros((self.count, *values.shape), values.dtype)
        every[self.number] = values
        return self.sum(every)

    def copy(self, values: np.ndarray) -> np.ndarray:
        """Copy the chief's float32 values to all workers, whose values have the same shape."""
        if self.count == 1:
            return values
        return self.sum(values if self.is_chief else np.zeros_like(values))

    def broadcast_from_chief(self, find: Callable[[], Any]) -> Any:
        """Call a function in the chief, and send its result to all workers.

        >>> ALONE.broadcast_from_chief(lambda: {"path": "runs/first"})
        {'path': 'runs/first'}

        Args:
            find: Function that returns JSON values; called in the chief only.

        Returns:
            The function's result, in every worker.

        Raises:
            KftError: The function raised it in the chief; it is then raised in every worker.
        """
        if self.count == 1:
            return find()
        if not self.is_chief:
            found, problem, exit_code = self._receive()
            if problem is not None:
                error = KftError(f"worker 0, the chief: {problem}")
                error.exit_code = exit_code
                raise error
            return found
        try:
            found = find()
        except KftError as error:
            self._send([None, str(error), error.exit_code])
            raise
        self._send([found, None, 0])
        return found

    @contextmanager
    def report_lost_workers(self, advice: str) -> Iterator[None]:
        """Turn TensorFlow's errors about a lost worker, raised inside, into one that names it.

        TensorFlow notices by heartbeats that a process is gone, after some 10 seconds.

        Args:
            advice: Sentence on what to do then.

        Raises:
            LostWorkerError: Another worker is gone, or lost the connection to this one.
        """
        if self.count == 1:
            yield
            return
        import tensorflow as tf

        try:
            yield
        except tf.errors.OpError as error:
            if type(error).__name__ not in _OF_LOST_WORKERS:
                raise
            raise LostWorkerError(
                f"worker {self.number}: {self._describe_lost(str(error))}. Its own output says why "
                f"it ended. {advice}"
            ) from error

    def _describe_lost(self, message: str) -> str:
        """Describe which workers are lost, according to TensorFlow's message."""
        found = re.findall(r"/job:(\w+)\S*?/task:(\d+)", message)
        named = {int(task) + (self._has_chief_task and job == "worker") for job, task in found} - {
            self.number
        }
        if not named:
            return f"lost another worker ({message.strip().splitlines()[-1]})"
        return f"lost worker {', '.join(map(str, sorted(named)))}"

    def _send(self, value: Any) -> None:
        content = np.frombuffer(json.dumps(value).encode(), np.uint8).astype(np.int64)
        self.sum(np.array([len(content)], np.int64))
        self.sum(content)

    def _receive(self) -> Any:
        (length,) = self.sum(np.zeros(1, np.int64))
        content = self.sum(np.zeros(length, np.int64))
        return json.loads(content.astype(np.uint8).tobytes())


def _make_reduction(
    distribution: tf.distribute.Strategy | None, kind: str
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function that sums values (numbers,) over the processes."""
    import tensorflow as tf

    assert distribution is not None
    own = len(distribution.extended.worker_devices)

    def of_replica(values: Any) -> Any:
        context = tf.distribute.get_replica_context()
        # Only the first replica of a process contributes the process's values.
        is_first = context.replica_id_in_sync_group % own == 0
        contributed = tf.where(is_first, values, tf.zeros_like(values))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, contributed)

    @tf.function(input_signature=[tf.TensorSpec((None,), kind)])
    def reduce(values: Any) -> Any:
        return distribution.experimental_local_results(
            distribution.run(of_replica, args=(values,))
        )[0]

    return lambda values: reduce(tf.constant(values, kind)).numpy()


ALONE = Workers()
"""A single process, without a cluster."""
