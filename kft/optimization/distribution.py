"""On which devices a model trains."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import keras
import tensorflow as tf

from kft.config import TrainingConfig
from kft.errors import ConfigError, TrainingError
from kft.strategies import Phase
from kft.workers import Cluster


def make_distribution(
    name: str, cluster: Cluster | None = None, *, joins: bool = True
) -> tf.distribute.Strategy:
    """The tf.distribute strategy of a run; model and optimizer are made in its scope.

    Over several processes it waits until all are there, and must come before anything that
    TensorFlow computes.

    Args:
        name: 'none', 'mirrored', 'multi_worker', or 'auto': multi_worker where there is a
            cluster, else mirrored where there is more than one GPU.
        cluster: Of this process.
        joins: Whether this process is to train with the others of its cluster; else it only
            asks what would be.

    Raises:
        ConfigError: The cluster and the name contradict each other.
    """
    if cluster is not None and name in ("none", "mirrored"):
        raise ConfigError(
            f"training.distribution: {name!r}, but TF_CONFIG names {len(cluster.addresses)} "
            "workers, each of which would train a model of its own. Use `multi_worker` or `auto`, "
            "or unset TF_CONFIG."
        )
    if cluster is None and name == "multi_worker":
        raise ConfigError(
            "training.distribution: 'multi_worker' needs the environment variable TF_CONFIG, "
            "which names this process and the others. Rehearse on this machine with "
            "`kft launch --workers 2 …`, or use `mirrored`."
        )
    if cluster is not None:
        return (
            tf.distribute.MultiWorkerMirroredStrategy() if joins else tf.distribute.get_strategy()
        )
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return _mirror(tuple(device.name for device in gpus) or _cpus())
    return tf.distribute.get_strategy()


@functools.cache
def _mirror(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One for a process: the collectives of a second one get in the way of the first's."""
    return tf.distribute.MirroredStrategy(devices)


def _cpus() -> tuple[str, ...]:
    return tuple(device.name for device in tf.config.list_logical_devices("CPU"))


def count_replicas(distribution: tf.distribute.Strategy, cluster: Cluster | None = None) -> int:
    """How many replicas train, in all processes; with those of a cluster that was not joined.

    Args:
        distribution: From `make_distribution`.
        cluster: Of this process, whose machines are taken to be like this one.
    """
    replicas: int = distribution.num_replicas_in_sync
    if cluster is not None and replicas == 1:
        return len(cluster.addresses) * max(1, len(tf.config.list_logical_devices("GPU")))
    return replicas


def check_batch_size(replicas: int, global_batch_size: int) -> None:
    """Refuse a global batch that does not divide among the replicas.

    Raises:
        ConfigError: It does not; the next sizes that do are named.
    """
    if global_batch_size % replicas:
        below = global_batch_size // replicas * replicas
        choices = [str(size) for size in (below, below + replicas) if size]
        raise ConfigError(
            f"training.global_batch_size: {global_batch_size} examples do not divide among "
            f"{replicas} replicas. Use {' or '.join(choices)}."
        )


def check_replicas(
    replicas: int,
    training: TrainingConfig,
    phases: Sequence[Phase] = (),
    *,
    count: Callable[[Phase], int] = lambda phase: 0,
) -> None:
    """Refuse what several replicas cannot do together as one would.

    Args:
        replicas: In all processes.
        training: The pipeline's `training` section.
        phases: As planned.
        count: How many examples a phase learns from.

    Raises:
        ConfigError: With the reason.
    """
    if replicas == 1:
        return
    if training.jit_compile is True:
        raise ConfigError(
            f"training.jit_compile: XLA compiles the step of one device, not of {replicas} "
            "replicas. Use `training.jit_compile=false`, or one device."
        )
    for phase in phases:
        if phase.scope.batch_norm == "trainable":
            _check_statistics(phase, replicas, training, count(phase))


def _check_statistics(
    phase: Phase, replicas: int, training: TrainingConfig, num_examples: int
) -> None:
    """Batch statistics are of the whole batch; each example must be in it once."""
    where = f"phase {phase.name!r}: batch_norm 'trainable' over {replicas} replicas"
    last = num_examples % training.batch_size
    if last % replicas:
        raise ConfigError(
            f"{where}: the last batch of an epoch has {last} examples, which do not divide among "
            "them, and filled up its statistics would be others. Use another "
            "`training.global_batch_size`, batch_norm 'frozen', or one device."
        )


def seed_everything(seed: int, *, deterministic: bool = True) -> None:
    """Make what follows a function of the seed.

    Args:
        seed: Of Python, NumPy, TensorFlow and Keras.
        deterministic: To the last bit: then an op that has no deterministic form fails later.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


@contextmanager
def name_nondeterministic() -> Iterator[None]:
    """Around what computes: an op that cannot give the same bits twice becomes an error by name.

    Raises:
        TrainingError: With the op, and how to do without.
    """
    try:
        yield
    except (tf.errors.UnimplementedError, RuntimeError) as error:
        lines = [line for line in str(error).splitlines() if "determinis" in line.lower()]
        if not lines:
            raise
        raise TrainingError(
            f"an operation of this model cannot give the same numbers twice: {lines[0].strip()} "
            "Leave it out, or set training.deterministic=false: then a run that is repeated or "
            "resumed may end with other weights."
        ) from error


def set_precision(name: str) -> None:
    """Make layers compute in this Keras dtype policy, such as 'mixed_bfloat16', from here on."""
    keras.config.set_dtype_policy(name)
