"""The plan of a run: everything that is known, and can be refused, before training."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from kft.backbones import load_backbone
from kft.backbones.record import Backbone
from kft.config import Pipeline
from kft.data import load_splits
from kft.data.batches.pipeline import num_steps_per_epoch
from kft.data.batches.service import DataService
from kft.data.loading import check_source
from kft.display import Display
from kft.errors import ConfigError
from kft.examples import Splits
from kft.modalities import Decoder, Modality, choose_modality, load_modality
from kft.model import HEAD, Assembled, assemble
from kft.objectives import make_supervised
from kft.optimization import check_batch_size
from kft.registry import suggest
from kft.runs.storage import check_cache, check_folder
from kft.strategies import Phase, Setting, find_traits, plan_phases
from kft.strategies.automatic import refits
from kft.strategies.checks import check_strategy
from kft.strategies.presets import is_solved
from kft.strategies.setting import is_solvable
from kft.strategies.taps import find_taps
from kft.strategies.targets import check_targets, may_mix
from kft.strategies.traits import BlockTraits
from kft.tasks import Task, make_head
from kft.tasks.head import Head
from kft.training.trackers import check_trackers
from kft.workers import Cluster
from kft.workflow.agreement import describe_settings, require_identical_settings
from kft.workflow.checks import (
    check_abstain,
    check_export,
    check_phases,
    list_possible_tasks,
)
from kft.workflow.process import Process, start_process

BEFORE_ALL = "No training step was done; start all workers again."
"""Advice for the loss of a worker before the first step."""


@dataclass(frozen=True)
class Plan:
    """Everything that is known before training.

    Attributes:
        pipeline: The validated pipeline.
        splits: The checked examples of each split.
        assembled: Backbone and head, with their initial weights.
        phases: Phases in order.
        decoder: Decoder of files.
        process: This process, whose distribution the model was made in, and its workers.
        traits: Traits of the backbone's blocks.
        begun: `time.monotonic()` when planning began.
    """

    pipeline: Pipeline
    splits: Splits
    assembled: Assembled
    phases: tuple[Phase, ...]
    decoder: Decoder
    process: Process
    traits: tuple[BlockTraits, ...]
    begun: float

    @property
    def refits(self) -> bool:
        """Whether phases train on the validation examples too."""
        return any("validation" in phase.learns_from for phase in self.phases)


def make_plan(
    pipeline: Pipeline,
    display: Display,
    *,
    is_thorough: bool = False,
    cluster: Cluster | None = None,
    joins: bool = True,
) -> Plan:
    """Find the data, load the backbone, assemble the model and plan the phases, without training.

    Args:
        pipeline: The pipeline to plan.
        display: Shows the progress of slow steps.
        is_thorough: Decode every file. Training does not need this, because it decodes them
            soon after anyway.
        cluster: Processes that train together.
        joins: See `make_distribution`.

    Raises:
        KftError: Anything that would stop the run before its first step.
    """
    begun = time.monotonic()
    _check_places(pipeline, cluster)
    pipeline, process = start_process(pipeline, display, cluster=cluster, joins=joins)
    workers = process.workers
    with process.distribution.scope(), workers.report_lost_workers(BEFORE_ALL):
        # Checked before the workers create anything together, such as variables.
        require_identical_settings(workers, describe_settings(pipeline))
        backbone = load_backbone(pipeline.backbone)
        modality = _find_modality(pipeline, backbone)
        traits = find_traits(backbone)
        _check_before_data(pipeline, backbone, traits)
        with display.track(f"Checking every {modality.noun}") as advance:
            splits = load_splits(
                pipeline.data,
                progress=advance,
                output_folders=pipeline.output_folders,
                decode=is_thorough,
            )
        require_identical_settings(
            workers, {"data": splits.fingerprint, "weights": backbone.sha256}
        )
        _check_companion(modality, splits.task)
        settings = modality.settings_of(pipeline.data)
        spec = modality.fit_spec(backbone.input_spec, settings, splits.train)
        backbone = replace(backbone, input_spec=spec)
        setting = _size_setting(_make_setting(pipeline, backbone, traits), pipeline, splits)
        phases = plan_phases(setting)
        head = _make_head(pipeline, splits)
        if any(phase.method == "solve" for phase in phases):
            head = replace(head, taps=find_taps(setting))
        head = _read_levels(head, backbone)
        check_export(pipeline, head, splits)
        check_abstain(pipeline, head, splits, phases)
        assembled = assemble(backbone, head)
    check_phases(phases, pipeline, assembled, splits, process=process)
    decoder = modality.make_decoder(spec, settings, splits.calibrated)
    return Plan(pipeline, splits, assembled, phases, decoder, process, traits, begun)


def _check_places(pipeline: Pipeline, cluster: Cluster | None) -> None:
    """Check that data, folders and services exist, before anything is loaded."""
    check_trackers(pipeline.training.trackers)
    check_source(pipeline.data)
    check_cache()
    # Only the chief exports.
    if pipeline.export.enabled and (cluster is None or cluster.is_chief):
        check_folder(Path(pipeline.export.directory), "export.directory")
    if pipeline.data.service is None:
        return
    if cluster is not None:
        raise ConfigError(
            "data.service: several workers must read parts of the same batch in each step, but a "
            "tf.data service guarantees no order. Use one worker, or remove data.service."
        )
    DataService(pipeline.data.service).check()


def check_settings(pipeline: Pipeline, plan: Plan, varied: Collection[str]) -> None:
    """Refuse settings that a new plan would refuse, without reading data or weights again.

    Checks that would need other data or weights are left to the new plan.

    Args:
        pipeline: The planned pipeline with other values of the settings in `varied`.
        plan: Plan of the original pipeline.
        varied: Paths of the settings that differ.

    Raises:
        ConfigError: The settings are refused; the message says why.
    """
    sections = {path.partition(".")[0] for path in varied}
    check_batch_size(plan.process.replicas, pipeline.training.batch_size)
    if "backbone" in sections:
        return
    _check_before_data(pipeline, plan.assembled.backbone, plan.traits)
    if "data" not in sections:
        _make_head(pipeline, plan.splits)


def _find_modality(pipeline: Pipeline, backbone: Backbone) -> Modality:
    """Find the modality of the data, and check that the backbone and the phases support it.

    Raises:
        ConfigError: The backbone reads another modality, or an augmentation preset is unknown.
    """
    modality, read = choose_modality(pipeline.data), backbone.input_spec.modality
    if modality.name != read:
        raise ConfigError(
            f"backbone.name: {backbone.name!r} reads examples of modality {read!r}, but data.path "
            f"holds {modality.name!r}. Choose a backbone for this modality, or set "
            f"data.modality={read} if the data are {read!r}."
        )
    presets = {f"data.{modality.name}": modality.settings_of(pipeline.data).augmentation}
    for place, phase in enumerate(pipeline.strategy.phases):
        presets[f"strategy.phases[{place}]"] = phase.augmentation or "none"
    for section, preset in presets.items():
        if preset not in modality.augmentations:
            raise ConfigError(
                f"{section}.augmentation: found {preset!r}. "
                f"{suggest(preset, modality.augmentations)}"
            )
    return modality


def _check_companion(modality: Modality, task: Task) -> None:
    """Check that the modality can move the targets of a task with its examples.

    Raises:
        ConfigError: It cannot.
    """
    if task.companion is not None and task.companion not in modality.companions:
        raise ConfigError(
            f"data.target: {task.word!r} needs examples that move with their targets, but "
            f"{modality.nouns} do not. Set another data.target."
        )


def _make_head(pipeline: Pipeline, splits: Splits) -> Head:
    """Make the head for the data's targets, and check that the settings suit them."""
    training = pipeline.training
    head = make_head(pipeline.head, splits.task, splits.class_names, splits.train.targets)
    check_targets(
        training,
        splits.task,
        splits.class_names,
        num_validation=len(splits.validation),
    )
    # Called to raise its errors about class weights now rather than in the first phase.
    make_supervised(head, training, splits.train.targets)
    return head


def _read_levels(head: Head, backbone: Backbone) -> Head:
    """Let the head choose which feature maps of the backbone it reads."""
    levels = {level.block: level.stride for level in backbone.feature_levels}
    first = next(iter(backbone.input_spec.elements.values()))
    return head.read_levels(levels, tuple(each or 0 for each in first.shape[:-1]))


def _check_before_data(
    pipeline: Pipeline, backbone: Backbone, traits: tuple[BlockTraits, ...]
) -> None:
    check_strategy(
        _make_setting(pipeline, backbone, traits),
        training=pipeline.training,
        features=pipeline.features,
        is_fold=pipeline.data.split.folds is not None,
    )


def _make_setting(
    pipeline: Pipeline, backbone: Backbone, traits: tuple[BlockTraits, ...]
) -> Setting:
    """Make the input of the strategies, as far as it is known without the data."""
    modality = load_modality(backbone.input_spec.modality)
    return Setting(
        config=pipeline.strategy,
        backbone=backbone.name,
        block_names=(*(block.name for block in traits), HEAD),
        augmentation=modality.settings_of(pipeline.data).augmentation,
        is_pretrained=backbone.sha256 is not None,
        has_linear_head=is_solvable(
            pipeline.head, pipeline.training, list_possible_tasks(pipeline, modality)
        ),
        traits=traits,
    )


def _size_setting(setting: Setting, pipeline: Pipeline, splits: Splits) -> Setting:
    """Complete the input of the strategies with the sizes of the data."""
    training = pipeline.training
    setting = replace(
        setting,
        has_linear_head=is_solvable(pipeline.head, training, [splits.task]),
        num_examples=len(splits.train),
        steps_per_epoch=num_steps_per_epoch(len(splits.train), training.batch_size),
        num_validation=len(splits.validation),
        may_mix=may_mix(training, splits.task, splits.class_names),
        may_fold=splits.task.companion is None,
    )
    if not refits(
        pipeline.strategy,
        training,
        num_validation=len(splits.validation),
        num_holdout=len(splits.holdout),
        is_fold=pipeline.data.split.folds is not None,
        is_pretrained=setting.is_pretrained,
        has_solved_probe=is_solved(setting) and setting.may_fold,
    ):
        return setting
    num_examples = len(splits.train) + len(splits.validation)
    return replace(
        setting,
        num_examples=num_examples,
        steps_per_epoch=num_steps_per_epoch(num_examples, training.batch_size),
        num_validation=0,
        learns_from=("train", "validation"),
    )
