"""Checks of the phases and of the export, which need the data; and the tasks that data may have."""

from __future__ import annotations

from pathlib import Path

from kft.backbones.hub import HubBlock
from kft.config import Pipeline
from kft.errors import ConfigError
from kft.examples import Splits
from kft.feeding.frozen_prefix import check_vectors
from kft.modalities import Modality
from kft.model import Assembled
from kft.optimization import check_replicas
from kft.provenance import describe_data_set
from kft.serving import check_next_version
from kft.strategies import Phase
from kft.strategies.durations import resolve_warmup
from kft.tasks import Task, find_task, list_tasks
from kft.tasks.head import Head
from kft.workflow.process import Process


def check_export(pipeline: Pipeline, head: Head, splits: Splits) -> None:
    """Refuse an export that would replace another model, before hours are spent on training.

    Raises:
        ConfigError: See `check_next_version`.
    """
    if pipeline.export.enabled:
        check_next_version(
            Path(pipeline.export.directory) / pipeline.name,
            {"head": head.describe(), "data": describe_data_set(pipeline, splits.fingerprint)},
            allowed=pipeline.export.next_version,
        )


def check_abstain(
    pipeline: Pipeline, head: Head, splits: Splits, phases: tuple[Phase, ...]
) -> None:
    """Refuse a threshold that cannot be chosen.

    Raises:
        ConfigError: Answers are not right or wrong, or the model has seen every example.
    """
    if pipeline.abstain.error is None:
        return
    if not head.task.has_classes:
        raise ConfigError(
            f"abstain.error: answers with {head.task.nouns} can be partly right; only classes have "
            "such a threshold. Remove it."
        )
    is_seen = any("validation" in phase.learns_from for phase in phases)
    is_folded = phases[-1].method == "solve" or phases[-1].folds is not None
    if not is_folded and (is_seen or not len(splits.validation)):
        raise ConfigError(
            "abstain.error: a threshold needs answers to examples that the model has not seen. "
            "Set data.validation above 0, or use strategy.name=auto or linear_probe."
        )


def check_phases(
    phases: tuple[Phase, ...],
    pipeline: Pipeline,
    assembled: Assembled,
    splits: Splits,
    *,
    process: Process,
) -> None:
    """Refuse phases that are impossible with their number of examples or replicas.

    Raises:
        ConfigError: A phase is impossible; the message names it and says why.
    """

    def count(phase: Phase) -> int:
        return len(splits.join(phase.learns_from))

    check_vectors(
        assembled,
        phases,
        pipeline.features,
        count=count,
        in_parts=process.workers.count > 1,
    )
    for phase in phases:
        if phase.method == "fit":
            resolve_warmup(pipeline.training, phase, num_examples=count(phase))
    _check_batch_norm(phases, assembled, process.replicas)
    check_replicas(process.replicas, pipeline.training, phases, count=count)


def _check_batch_norm(phases: tuple[Phase, ...], assembled: Assembled, replicas: int) -> None:
    if not any(isinstance(block.layers[0], HubBlock) for block in assembled.blocks.blocks):
        return
    for phase in phases:
        if phase.scope.batch_norm == "frozen":
            continue
        if replicas > 1:
            raise ConfigError(
                f"phase {phase.name!r}: batch_norm 'trainable' over {replicas} replicas. A hub "
                "module computes statistics on each replica's part of a batch separately. Use "
                "batch_norm 'frozen', or one device."
            )
        if set(assembled.blocks.names) - set(phase.scope.trainable):
            raise ConfigError(
                f"phase {phase.name!r}: batch_norm 'trainable' with frozen blocks. A hub module "
                "has a single switch for the statistics of all its blocks: train them all, or use "
                "batch_norm 'frozen'."
            )


def list_possible_tasks(pipeline: Pipeline, modality: Modality) -> list[Task]:
    """List the tasks that the data may have, which only they tell."""
    task, path = find_task(pipeline.data.target), pipeline.data.path
    if task is not None:
        return [task]
    is_annotated = path is not None and modality.find_layout(Path(path).expanduser()) is not None
    return [task for task in list_tasks() if not is_annotated or task.companion is not None]
