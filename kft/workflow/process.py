"""What holds for all that a process computes: threads, seeds, precision, devices, other workers."""

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
    """This process, ready to compute a pipeline.

    Attributes:
        distribution: In whose scope models are made.
        workers: The processes that train together.
        replicas: Of the model, in all processes.
    """

    distribution: tf.distribute.Strategy
    workers: Workers
    replicas: int


def start_process(
    pipeline: Pipeline, display: Display, *, cluster: Cluster | None, joins: bool
) -> tuple[Pipeline, Process]:
    """Set what holds for the whole process, and join the others.

    Args:
        pipeline: As the user gave it.
        display: Told what is waited for.
        cluster: Processes that are to train together.
        joins: See `make_distribution`.

    Returns:
        The pipeline with every measured setting made a value, and the process.

    Raises:
        ConfigError: Batches or other settings do not go with the number of replicas.
    """
    measured = load_measured(pipeline)
    _set_process(apply_measured(pipeline, measured), display)
    if cluster is not None and joins:
        display.stage(f"Workers: {', '.join(cluster.addresses)}; waiting until all are there")
    distribution = make_distribution(pipeline.training.distribution, cluster, joins=joins)
    replicas = count_replicas(distribution, cluster)
    resolved = apply_measured(pipeline, measured, replicas=replicas)
    check_batch_size(replicas, resolved.training.batch_size)
    check_replicas(replicas, resolved.training)
    workers = Workers(cluster if joins else None, distribution)
    return resolved, Process(distribution, workers, replicas)


def _set_process(pipeline: Pipeline, display: Display) -> None:
    """What holds for all that this process computes: threads, seeds, precision."""
    training = pipeline.training
    if not set_threads(int(training.threads)):
        display.stage(
            f"training.threads: {training.threads} were chosen, but TensorFlow runs already with "
            "another number; it keeps that."
        )
    seed_everything(training.seed, deterministic=training.deterministic)
    set_precision(training.precision)
