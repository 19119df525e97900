"""The processes that train one model together: who they are, and what they tell each other."""

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

_FORM = (
    'expected is {"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}'
)


@dataclass(frozen=True)
class Cluster:
    """Processes that train together, and which of them this one is.

    Attributes:
        addresses: HOST:PORT of each; the first is that of the chief, which alone writes.
        number: Of this process, from 0.
        has_chief_task: Whether TF_CONFIG names the chief apart, so that its worker 0 is number 1.
    """

    addresses: tuple[str, ...]
    number: int
    has_chief_task: bool = False

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.number == 0


def read_cluster(environ: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster of the environment variable TF_CONFIG; None where it names one process or none.

    Args:
        environ: The environment.

    Raises:
        ConfigError: It is no JSON of that form, or gives this process a task that kft has not.
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
            f"TF_CONFIG: names {found}; kft trains with tasks 'worker' and 'chief' alone. Every "
            "worker computes its part of each batch, and the first one writes."
        )
    if len(chief) > 1:
        raise ConfigError(f"TF_CONFIG: names {len(chief)} chiefs; there is one at most.")
    addresses = (*chief, *others)
    if len(addresses) < 2:
        return None
    own = chief if kind == "chief" else others
    if not 0 <= index < len(own):
        raise ConfigError(
            f"TF_CONFIG: this process is {kind} {index}, but the cluster has {len(own)} of the "
            "type, counted from 0."
        )
    number = index + (len(chief) if kind == "worker" else 0)
    return Cluster(addresses, number, has_chief_task=bool(chief))


def _addresses(cluster: Mapping[str, Any], kind: str) -> list[str]:
    found = cluster.get(kind, [])
    if not isinstance(found, list) or not all(isinstance(address, str) for address in found):
        raise ValueError(kind)
    return found


# What TensorFlow raises in a process whose partner is gone.
_OF_LOST_WORKERS = (
    "UnavailableError",
    "AbortedError",
    "CancelledError",
    "DeadlineExceededError",
)


class Workers:
    """What the processes of a cluster find out together; each calls the same in the same order.

    Args:
        cluster: Its processes; None for one alone, which is always of one mind.
        distribution: Over all devices of the cluster.
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
        """Whether this process is the one that writes."""
        return self.number == 0

    def sum(self, values: np.ndarray) -> np.ndarray:
        """The sum of everyone's int64 or float32 values, of one shape."""
        if self.count == 1:
            return values
        kind = values.dtype.name
        if kind not in self._reductions:
            self._reductions[kind] = _make_reduction(self._distribution, kind)
        return self._reductions[kind](values.reshape(-1)).reshape(values.shape)

    def wait(self) -> None:
        """Until all have come here."""
        self.sum(np.zeros(1, np.int64))

    def gather(self, values: np.ndarray) -> np.ndarray:
        """Everyone's values (workers, …), each of one shape, to the last bit."""
        every = np.zeros((self.count, *values.shape), values.dtype)
        every[self.number] = values
        return self.sum(every)

    def copy(self, values: np.ndarray) -> np.ndarray:
        """The chief's float32 values, of the shape of everyone's."""
        if self.count == 1:
            return values
        return self.sum(values if self.is_chief else np.zeros_like(values))

    def broadcast_from_chief(self, find: Callable[[], Any]) -> Any:
        """What the chief finds, as JSON holds it; an error of its is everyone's.

        Args:
            find: Called in the chief alone.

        Raises:
            KftError: The chief's.
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
        """Around what the workers do together: the failure of one becomes an error of the others.

        TensorFlow finds out by heartbeats that a process is gone, some 10 seconds after.

        Args:
            advice: What to do then, as a sentence.

        Raises:
            LostWorkerError: Another worker is gone, or lost this one.
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
        """Which workers are gone, by TensorFlow's message."""
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
    """Values (numbers,) -> the sum over the processes."""
    import tensorflow as tf

    assert distribution is not None
    own = len(distribution.extended.worker_devices)

    def of_replica(values: Any) -> Any:
        context = tf.distribute.get_replica_context()
        # The first replica of a process speaks for all of it.
        is_first = context.replica_id_in_sync_group % own == 0
        spoken = tf.where(is_first, values, tf.zeros_like(values))
        return context.all_reduce(tf.distribute.ReduceOp.SUM, spoken)

    @tf.function(input_signature=[tf.TensorSpec((None,), kind)])
    def reduce(values: Any) -> Any:
        return distribution.experimental_local_results(
            distribution.run(of_replica, args=(values,))
        )[0]

    return lambda values: reduce(tf.constant(values, kind)).numpy()


ALONE = Workers()
"""One process, where there is no cluster."""
