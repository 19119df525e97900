"""State of the whole process: threads, seeds, precision, devices and other workers."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from kft.config import Pipeline
from kft.display import Display
from kft.machine import set_threads
from kft.optimization import (
    check_batch_size,
    check_replicas,
    count_replicas,
    make_distribution,
    seed_everything,
    set_precision,
)
from kft.timing import apply_measured, load_measured
from kft.workers import Cluster, Workers


@dataclass(frozen=True)
class Process:
    """The state of this process after its setup for a pipeline.

    Attributes:
        distribution: Distribution strategy whose scope models are made in.
        workers: Processes that train together.
        replicas: Number of replicas of the model over all processes.
    """

    distribution: tf.distribute.Strategy
    workers: Workers
    replicas: int


def start_process(
    pipeline: Pipeline, display: Display, *, cluster: Cluster | None, joins: bool
) -> tuple[Pipeline, Process]:
    """Set threads, seeds and precision of this process, and join the other workers.

    Args:
        pipeline: The pipeline as the user gave it.
        display: Shows that workers are being waited for.
        cluster: Processes that train together.
        joins: See `make_distribution`.

    Returns:
        The pipeline with a value in place of each measured setting, and the process.

    Raises:
        ConfigError: The batch size or another setting does not suit the number of replicas.
    """
    measured = load_measured(pipeline)
    _set_process(apply_measured(pipeline, measured), display)
    if cluster is not None and joins:
        display.stage(f"Workers: {', '.join(cluster.addresses)}; waiting for all of them")
    distribution = make_distribution(pipeline.training.distribution, cluster, joins=joins)
    replicas = count_replicas(distribution, cluster)
    resolved = apply_measured(pipeline, measured, replicas=replicas)
    check_batch_size(replicas, resolved.training.batch_size)
    check_replicas(replicas, resolved.training)
    workers = Workers(cluster if joins else None, distribution)
    return resolved, Process(distribution, workers, replicas)


def _set_process(pipeline: Pipeline, display: Display) -> None:
    """Set threads, seeds and precision."""
    training = pipeline.training
    if not set_threads(int(training.threads)):
        display.stage(
            f"training.threads: {training.threads} is ignored, because TensorFlow is already "
            "running with another number of threads."
        )
    seed_everything(training.seed, deterministic=training.deterministic)
    set_precision(training.precision)
