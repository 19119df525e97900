"""On which devices a model trains."""

from __future__ import annotations

import keras
import tensorflow as tf

from kft.data.input.shares import WHOLE, Share
from kft.errors import ConfigError


def make_distribution(name: str) -> tf.distribute.Strategy:
    """The tf.distribute strategy of a run; model and optimizer are made in its scope.

    Args:
        name: 'none', 'mirrored', or 'auto': mirrored where there is more than one GPU.
    """
    gpus = tf.config.list_logical_devices("GPU")
    if name == "mirrored" or (name == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy([device.name for device in gpus] or _cpus())
    return tf.distribute.get_strategy()


def find_share(distribution: tf.distribute.Strategy) -> Share:
    """Which replicas of all are those of this process."""
    replicas = distribution.num_replicas_in_sync
    if replicas == 1:
        return WHOLE
    own = len(distribution.extended.worker_devices)
    resolver = distribution.cluster_resolver
    number = resolver.task_id if replicas > own and resolver is not None else 0
    return Share(replicas, number * own, own)


def spread(batches: tf.data.Dataset) -> tf.data.Dataset:
    """A data set as `fit` takes it under the strategy in whose scope this is called.

    Args:
        batches: From `make_dataset` with the share of this process.
    """
    distribution = tf.distribute.get_strategy()
    if distribution.num_replicas_in_sync == 1:
        return batches
    return distribution.distribute_datasets_from_function(lambda context: batches)


def _cpus() -> list[str]:
    return [device.name for device in tf.config.list_logical_devices("CPU")]


def check_batch_size(distribution: tf.distribute.Strategy, global_batch_size: int) -> None:
    """Refuse a global batch that does not divide among the replicas.

    Raises:
        ConfigError: It does not; the next sizes that do are named.
    """
    replicas = distribution.num_replicas_in_sync
    if global_batch_size % replicas:
        below = global_batch_size // replicas * replicas
        choices = [str(size) for size in (below, below + replicas) if size]
        raise ConfigError(
            f"training.global_batch_size: {global_batch_size} examples do not divide among "
            f"{replicas} replicas. Use {' or '.join(choices)}."
        )


def seed_everything(seed: int) -> None:
    """Make what follows a function of the seed, to the last bit.

    Raises:
        UnimplementedError: Later, from TensorFlow, by an op that has no deterministic form.
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def set_precision(name: str) -> None:
    """Make layers compute in this Keras dtype policy, such as 'mixed_bfloat16', from here on."""
    keras.config.set_dtype_policy(name)
