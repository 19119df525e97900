"""Devices, seeds and precision of training."""

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
    """Make the tf.distribute strategy of a run, in whose scope model and optimizer are made.

    With several processes, this waits until all are there. It must be called before TensorFlow
    computes anything.

    Args:
        name: 'none', 'mirrored', 'multi_worker' or 'auto', which means multi_worker in a
            cluster, and mirrored with more than one GPU.
        cluster: Cluster of this process, if any.
        joins: Whether this process joins the training of its cluster, or only plans it.

    Raises:
        ConfigError: The name contradicts the cluster.
    """
    if cluster is not None and name in ("none", "mirrored"):
        raise ConfigError(
            f"training.distribution: {name!r}, but TF_CONFIG names {len(cluster.addresses)} "
            "workers, each of which would train its own model. Use `multi_worker` or `auto`, "
            "or unset TF_CONFIG."
        )
    if cluster is None and name == "multi_worker":
        raise ConfigError(
            "training.distribution: 'multi_worker' needs the environment variable TF_CONFIG, "
            "which lists this process and the others. Try it on this machine with "
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
    """Make the strategy only once per process, because the collectives of two interfere."""
    return tf.distribute.MirroredStrategy(devices)


def _cpus() -> tuple[str, ...]:
    return tuple(device.name for device in tf.config.list_logical_devices("CPU"))


def count_replicas(distribution: tf.distribute.Strategy, cluster: Cluster | None = None) -> int:
    """Count the replicas of all processes, including a cluster that was not joined.

    Args:
        distribution: Strategy from `make_distribution`.
        cluster: Cluster of this process, whose machines are assumed to be like this one.
    """
    replicas: int = distribution.num_replicas_in_sync
    if cluster is not None and replicas == 1:
        return len(cluster.addresses) * max(1, len(tf.config.list_logical_devices("GPU")))
    return replicas


def check_batch_size(replicas: int, global_batch_size: int) -> None:
    """Refuse a global batch size that is not a multiple of the number of replicas.

    Raises:
        ConfigError: The size is not a multiple; the nearest multiples are named.
    """
    if global_batch_size % replicas:
        below = global_batch_size // replicas * replicas
        choices = [str(size) for size in (below, below + replicas) if size]
        raise ConfigError(
            f"training.global_batch_size: {global_batch_size} examples do not divide evenly among "
            f"{replicas} replicas. Use {' or '.join(choices)}."
        )


def check_replicas(
    replicas: int,
    training: TrainingConfig,
    phases: Sequence[Phase] = (),
    *,
    count: Callable[[Phase], int] = lambda phase: 0,
) -> None:
    """Refuse settings with which several replicas could not give the result of one.

    Args:
        replicas: Number of replicas in all processes.
        training: The pipeline's `training` section.
        phases: The planned phases.
        count: Function from a phase to the number of examples that it trains on.

    Raises:
        ConfigError: A setting is not supported on several replicas.
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
    """Refuse batch statistics over a last batch that cannot be divided without repeats."""
    where = f"phase {phase.name!r}: batch_norm 'trainable' over {replicas} replicas"
    last = num_examples % training.batch_size
    if last % replicas:
        raise ConfigError(
            f"{where}: the last batch of an epoch has {last} examples, which do not divide evenly "
            "among them, and padding would change its statistics. Use another "
            "`training.global_batch_size`, batch_norm 'frozen', or one device."
        )


def seed_everything(seed: int, *, deterministic: bool = True) -> None:
    """Seed all random generators.

    Args:
        seed: Seed for Python, NumPy, TensorFlow and Keras.
        deterministic: Whether results repeat to the last bit. An op without a deterministic
            implementation then fails when it runs.
    """
    keras.utils.set_random_seed(seed)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


@contextmanager
def name_nondeterministic() -> Iterator[None]:
    """Translate the failure of a nondeterministic op inside the block into an error that names it.

    Raises:
        TrainingError: An op has no deterministic implementation.
    """
    try:
        yield
    except (tf.errors.UnimplementedError, RuntimeError) as error:
        lines = [line for line in str(error).splitlines() if "determinis" in line.lower()]
        if not lines:
            raise
        raise TrainingError(
            f"an operation of this model is not deterministic: {lines[0].strip()} Remove it, or "
            "set training.deterministic=false. A repeated or resumed run may then end with other "
            "weights."
        ) from error


def set_precision(name: str) -> None:
    """Set the Keras dtype policy of layers made from now on, such as 'mixed_bfloat16'."""
    keras.config.set_dtype_policy(name)
