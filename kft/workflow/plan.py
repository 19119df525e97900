"""All that is known, and may be refused, before training."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import tensorflow as tf

from kft.backbones import load_backbone
from kft.backbones.hub import HubBlock
from kft.backbones.record import Backbone
from kft.config import Pipeline
from kft.data import load_splits
from kft.data.batches.pipeline import num_steps_per_epoch
from kft.data.batches.service import DataService
from kft.data.loading import check_source
from kft.data.refusing import list_bad
from kft.display import Display
from kft.errors import ConfigError
from kft.examples import SPLIT_NAMES, Splits
from kft.feeding.frozen_prefix import check_vectors
from kft.heads import make_head
from kft.heads.base import Head
from kft.machine import set_threads
from kft.modalities import Decoder, Modality, choose_modality, load_modality
from kft.model import HEAD, Assembled, assemble
from kft.objectives import make_supervised
from kft.optimization import (
    check_batch_size,
    check_replicas,
    count_replicas,
    make_distribution,
    seed_everything,
    set_precision,
)
from kft.registry import suggest
from kft.runs.storage import check_cache, check_folder
from kft.strategies import Phase, Setting, find_traits, plan_phases
from kft.strategies.automatic import refits
from kft.strategies.checks import check_strategy
from kft.strategies.phases import resolve_warmup
from kft.strategies.setting import is_solvable
from kft.strategies.targets import check_targets, may_mix
from kft.strategies.traits import BlockTraits
from kft.timing import apply_measured, load_measured
from kft.workers import Cluster, Workers
from kft.workflow.agreement import check_of_one_mind, describe_settings
from kft.workflow.export_stage import check_export

BEFORE_ALL = "Nothing has been trained meanwhile; start all again."
"""What to do where a worker is lost before the first step."""


@dataclass(frozen=True)
class Plan:
    """All that is known before training.

    Attributes:
        pipeline: Validated.
        splits: Found, split and checked.
        assembled: Backbone and head, with their pretrained and first weights.
        phases: In order.
        decoder: Files -> decoded examples.
        distribution: Whose scope the model was made in.
        workers: The processes that train together.
        traits: Of the backbone's blocks.
    """

    pipeline: Pipeline
    splits: Splits
    assembled: Assembled
    phases: tuple[Phase, ...]
    decoder: Decoder
    distribution: tf.distribute.Strategy
    workers: Workers
    traits: tuple[BlockTraits, ...]

    @property
    def refits(self) -> bool:
        """Whether the validation examples are learnt from in the end."""
        return any("validation" in phase.learns_from for phase in self.phases)


def make_plan(
    pipeline: Pipeline,
    display: Display,
    *,
    is_thorough: bool = False,
    cluster: Cluster | None = None,
    joins: bool = True,
) -> Plan:
    """Find the data, load the backbone, assemble, and plan the phases; trains nothing.

    Args:
        pipeline: What to do.
        display: Shows what takes long.
        is_thorough: Decode every file. A run that trains decodes them
            soon after anyway.
        cluster: Processes that are to train together.
        joins: As of `make_distribution`.

    Raises:
        KftError: Anything that would stop the run before its first step.
    """
    check_source(pipeline.data)
    check_cache()
    # The chief alone exports.
    if pipeline.export.enabled and (cluster is None or cluster.is_chief):
        check_folder(Path(pipeline.export.directory), "export.directory")
    if pipeline.data.service is not None:
        if cluster is not None:
            raise ConfigError(
                "data.service: over several workers the parts of one step must be of one batch, "
                "but a tf.data service promises each worker no order. Use one worker, or remove "
                "data.service."
            )
        DataService(pipeline.data.service).check()
    found = load_measured(pipeline)
    measured = apply_measured(pipeline, found)
    _set_process(measured, display)
    if cluster is not None and joins:
        display.stage(f"Workers: {', '.join(cluster.addresses)}; waiting until all are there")
    distribution = make_distribution(measured.training.distribution, cluster, joins=joins)
    workers = Workers(cluster if joins else None, distribution)
    replicas = count_replicas(distribution, cluster)
    pipeline = apply_measured(pipeline, found, replicas=replicas)
    training = pipeline.training
    check_batch_size(replicas, training.batch_size)
    check_replicas(replicas, training)
    with distribution.scope(), workers.name_lost(BEFORE_ALL):
        # Before anything that they make together, such as variables.
        check_of_one_mind(workers, describe_settings(pipeline))
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
        check_of_one_mind(workers, {"data": splits.fingerprint, "weights": backbone.sha256})
        head = _make_head(pipeline, splits)
        check_export(pipeline, head, splits)
        assembled = assemble(backbone, head)
    setting = _make_setting(pipeline, backbone, traits)
    phases = plan_phases(_size_setting(setting, pipeline, splits))
    _check_phases(phases, pipeline, assembled, splits, workers=workers, replicas=replicas)
    decoder = modality.make_decoder(
        backbone.input_spec, modality.settings_of(pipeline.data), splits.calibrated
    )
    return Plan(pipeline, splits, assembled, phases, decoder, distribution, workers, traits)


def check_settings(pipeline: Pipeline, plan: Plan, varied: Collection[str]) -> None:
    """Refuse what a plan of other settings would refuse, without reading data or weights again.

    What would have to be read or computed for that is left to the plan itself.

    Args:
        pipeline: As planned, but for the settings in `varied`.
        plan: Of the pipeline that it was made from.
        varied: Paths of settings.

    Raises:
        ConfigError: With the reason.
    """
    sections = {path.partition(".")[0] for path in varied}
    check_batch_size(count_replicas(plan.distribution), pipeline.training.batch_size)
    if "backbone" in sections:
        return
    _check_before_data(pipeline, plan.assembled.backbone, plan.traits)
    if "data" not in sections:
        _make_head(pipeline, plan.splits)


def _find_modality(pipeline: Pipeline, backbone: Backbone) -> Modality:
    """What the examples are, once it is sure that the backbone reads such.

    Raises:
        ConfigError: The data hold others, or a phase names no preset of their augmentation.
    """
    modality, read = choose_modality(pipeline.data), backbone.input_spec.modality
    if modality.name != read:
        raise ConfigError(
            f"backbone.name: {backbone.name!r} reads examples of modality {read!r}, but those of "
            f"data.path are {modality.name!r}. Choose a backbone that reads these, or say with "
            f"data.modality={read} that they are others."
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


def _make_head(pipeline: Pipeline, splits: Splits) -> Head:
    """The head for the targets of the data, once the settings are known to go with them."""
    training = pipeline.training
    head = make_head(pipeline.head, splits.target_kind, splits.class_names, splits.train.targets)
    check_targets(
        training,
        splits.target_kind,
        splits.class_names,
        num_validation=len(splits.validation),
    )
    # Told now rather than by the first phase: classes that cannot be weighed.
    make_supervised(head, training, splits.train.targets)
    return head


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
    """What strategies look at, as far as it is known before the data."""
    modality = load_modality(backbone.input_spec.modality)
    return Setting(
        config=pipeline.strategy,
        backbone=backbone.name,
        block_names=(*(block.name for block in traits), HEAD),
        augmentation=modality.settings_of(pipeline.data).augmentation,
        is_pretrained=backbone.sha256 is not None,
        # Weights of labels rule a solution out; whether targets are labels, the data will say.
        has_linear_head=is_solvable(pipeline.head, pipeline.training, "class"),
        traits=traits,
    )


def _size_setting(setting: Setting, pipeline: Pipeline, splits: Splits) -> Setting:
    """The same for the data."""
    training = pipeline.training
    setting = replace(
        setting,
        has_linear_head=is_solvable(pipeline.head, training, splits.target_kind),
        num_examples=len(splits.train),
        steps_per_epoch=num_steps_per_epoch(len(splits.train), training.batch_size),
        num_validation=len(splits.validation),
        may_mix=may_mix(training, splits.target_kind, splits.class_names),
    )
    if not refits(
        pipeline.strategy,
        training,
        num_validation=len(splits.validation),
        num_holdout=len(splits.holdout),
        is_fold=pipeline.data.split.folds is not None,
        is_pretrained=setting.is_pretrained,
    ):
        return setting
    num_examples = len(splits.train) + len(splits.validation)
    refit = replace(
        setting,
        num_examples=num_examples,
        steps_per_epoch=num_steps_per_epoch(num_examples, training.batch_size),
        num_validation=0,
    )
    return replace(setting, refit=refit)


def _check_phases(
    phases: tuple[Phase, ...],
    pipeline: Pipeline,
    assembled: Assembled,
    splits: Splits,
    *,
    workers: Workers,
    replicas: int,
) -> None:
    """What can be refused once it is known how many examples each phase has."""

    def count(phase: Phase) -> int:
        return len(splits.join(phase.learns_from))

    check_vectors(
        assembled,
        phases,
        pipeline.features,
        num_examples=len(splits.train),
        in_parts=workers.count > 1,
    )
    for phase in phases:
        if phase.method == "fit":
            resolve_warmup(pipeline.training, phase, num_examples=count(phase))
    _check_batch_norm(phases, assembled, replicas)
    check_replicas(replicas, pipeline.training, phases, count=count)


def _check_batch_norm(phases: tuple[Phase, ...], assembled: Assembled, replicas: int) -> None:
    if not any(isinstance(block.layers[0], HubBlock) for block in assembled.blocks.blocks):
        return
    for phase in phases:
        if phase.batch_norm == "frozen":
            continue
        if replicas > 1:
            raise ConfigError(
                f"phase {phase.name!r}: batch_norm 'trainable' over {replicas} replicas. A hub "
                "module takes the statistics of each replica's part of a batch. Use batch_norm "
                "'frozen', or one device."
            )
        if set(assembled.blocks.names) - set(phase.trainable):
            raise ConfigError(
                f"phase {phase.name!r}: batch_norm 'trainable' with frozen blocks. A hub module "
                "has one switch for the statistics of all its blocks: train them all, or use "
                "batch_norm 'frozen'."
            )


def describe_data(splits: Splits) -> list[str]:
    """Lines: how many examples, which classes, how they were split, what became of every file."""
    counts = ", ".join(f"{len(splits.get(name))} {name}" for name in SPLIT_NAMES)
    names = splits.class_names
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    noun = {"class": "classes", "labels": "labels", "number": "numbers"}[splits.target_kind]
    lines = [
        f"Data: {counts}; {len(names)} {noun}: {shown}",
        f"Split: {splits.origin}",
    ]
    lines.append(_add_up(splits))
    if splits.calibration is not None:
        lines.append(f"{splits.calibration.title}: {splits.calibration.origin}")
    for title, counts_by_word in (
        ("Ignored", splits.ignored),
        ("Repaired", splits.repaired),
        ("Noticed", splits.noticed),
    ):
        if counts_by_word:
            counted = sorted(counts_by_word.items())
            lines.append(f"{title}: {'; '.join(f'{word}: {count}' for word, count in counted)}")
    lines += [f"Note: {note}" for note in splits.notes]
    if splits.quarantined:
        lines += ["Quarantined:", *list_bad(splits.quarantined).splitlines()]
    return lines


def _add_up(splits: Splits) -> str:
    """Every file of the source, in one sum."""
    used = sum(len(splits.get(name)) for name in SPLIT_NAMES)
    quarantined, ignored = len(splits.quarantined), sum(splits.ignored.values())
    return (
        f"Files: {used + quarantined + ignored:,} found = {used:,} used + {quarantined:,} "
        f"quarantined + {ignored:,} ignored"
    )
