"""What contradicts itself, told before any data is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kft.config import FeaturesConfig, HeadConfig, StrategyConfig, TrainingConfig
from kft.model import HEAD
from kft.strategies import plan_phases
from kft.strategies.automatic import find_obstacle
from kft.strategies.effects import PROBE, check_effects
from kft.strategies.explicit import explicit_phase
from kft.strategies.phases import Phase, resolve_duration, unit_of
from kft.strategies.presets import linear_probe
from kft.strategies.problems import Problems
from kft.strategies.setting import Setting
from kft.strategies.traits import BlockTraits

# Before the data is read: so many examples in batches of one, that no duration comes to nothing.
_STAND_IN = 10**6


@dataclass(frozen=True)
class _Planned:
    """A phase as planned before the data are read.

    Attributes:
        where: Path of its settings, for messages.
        phase: Its steps hold for the stand-ins.
        duration: What was given for it, or for what it is a share of; None where the number of
            examples decides.
    """

    where: str
    phase: Phase
    duration: str | float | None

    def is_in(self, unit: str) -> bool:
        """Whether the duration is in this unit; epochs are what a bare number means."""
        return self.duration is not None and unit_of(self.duration) == unit


def check_strategy(
    config: StrategyConfig,
    *,
    training: TrainingConfig,
    features: FeaturesConfig,
    head: HeadConfig,
    augmentation: str,
    backbone: str,
    traits: Sequence[BlockTraits],
    is_pretrained: bool,
    is_fold: bool,
) -> None:
    """Refuse settings that contradict each other or the backbone; needs no data.

    Args:
        config: The pipeline's `strategy` section.
        training: Its `training` section.
        features: Its `features` section.
        head: Its `head` section.
        augmentation: `data.augmentation`.
        backbone: Its name, for messages.
        traits: Of the backbone's blocks.
        is_pretrained: Whether its weights are not random.
        is_fold: Whether validation is one of several folds, each of which judges a run.

    Raises:
        ConfigError: Lists every contradiction, each with its reason.
    """
    setting = Setting(
        config=config,
        backbone=backbone,
        block_names=(*(block.name for block in traits), HEAD),
        augmentation=augmentation,
        is_pretrained=is_pretrained,
        num_examples=_STAND_IN,
        steps_per_epoch=_STAND_IN,
        num_validation=_STAND_IN,
        # Whether targets are labels, whose weights are not solved for, the data will say.
        has_linear_head=is_solvable(head, training, "class"),
        may_mix=False,
        traits=tuple(traits),
    )
    problems = Problems()
    planned = _expand(setting, problems)
    phases = [each.phase for each in planned]
    for problem in (
        *(p for each in planned for p in _check_phase(each, setting, training, features)),
        *_check_refit(setting, training, is_fold=is_fold),
        *_check_training(training),
        *_check_statistics(planned, config, training),
        *_check_warmup(planned, training, problems),
        *check_effects(setting, training, phases),
    ):
        problems.add(problem)
    problems.refuse("pipeline")


def is_solvable(head: HeadConfig, training: TrainingConfig, target_kind: str) -> bool:
    """Whether a head's objective has an optimum that can be solved for.

    The focal loss is not convex; weights of labels, which count for one side
    of each, are left to training.
    """
    weighs_labels = target_kind == "labels" and training.class_weights != "none"
    is_one_layer = not head.hidden and not head.dropout
    return is_one_layer and not training.focal_gamma and not weighs_labels


def _expand(setting: Setting, problems: Problems) -> list[_Planned]:
    """The phases that can be planned."""
    config = setting.config
    if config.name == "phases":
        return [
            _Planned(
                f"strategy.phases[{index}]",
                phase,
                config.duration if unit_of(listed.duration) == "percent" else listed.duration,
            )
            for index, listed in enumerate(config.phases)
            if (phase := explicit_phase(setting, index, problems)) is not None
        ]
    if config.name != "full" and (config.name != "auto" or setting.is_pretrained):
        before = len(problems.found)
        with problems.noted():
            linear_probe(setting)
        if len(problems.found) > before:
            # What is wrong with the probe shall not hide what is wrong after it.
            changed = config.model_copy(update={"probe": "trained", "probe_duration": 1})
            setting = replace(setting, config=changed)
    with problems.noted():
        return [
            _Planned(
                f"strategy.name: phase {phase.name!r} of {config.name!r}",
                phase,
                setting.config.probe_duration if phase.name == PROBE else config.duration,
            )
            for phase in plan_phases(setting)
        ]
    return []


def _check_phase(
    planned: _Planned, setting: Setting, training: TrainingConfig, features: FeaturesConfig
) -> Iterator[str]:
    where, phase = planned.where, planned.phase
    if phase.method == "solve":
        return
    if phase.lora is not None and phase.batch_norm == "trainable":
        yield (
            f"{where}.batch_norm: 'trainable' lets batch statistics move, but under low-rank "
            "factors all else of the backbone rests. Use `batch_norm: frozen`."
        )
    is_plain = phase.augmentation == "none"
    if not features.enabled or not _has_frozen_prefix(phase, setting):
        return
    if not is_plain and not features.views and features.without_views == "refuse":
        yield (
            f"{where}: augmentation {phase.augmentation!r} changes pictures in every epoch, but "
            "the frozen part of the model is computed once and `features.views` is 0. Store "
            "augmented views with `features.views=4`, compute the frozen part in every step with "
            "`features.without_views=compute`, or use `augmentation: none`."
        )
    elif training.cutmix and (is_plain or 0 < features.views < _most_epochs(planned, setting)):
        yield (
            f"training.cutmix: {where} trains on stored features, which have no rectangles to "
            "exchange. Use `training.mixup`, or `features.enabled=false`."
        )


def _most_epochs(planned: _Planned, setting: Setting) -> float:
    """Of a phase; no limit where only the data will say."""
    if not planned.is_in("epoch"):
        return float("inf")
    # Into how many phases `gradual` divides them, the data will say.
    is_share = setting.config.name == "gradual"
    return -(-setting.budget() // _STAND_IN) if is_share else planned.phase.epochs


def _has_frozen_prefix(phase: Phase, setting: Setting) -> bool:
    """Whether some of the model before the first trainable block can be computed once."""
    names = list(setting.backbone_blocks)
    first = min((names.index(name) for name in phase.trainable if name in names), default=None)
    return first is None or any(block.ends_in_cut for block in setting.traits[:first])


def _check_training(training: TrainingConfig) -> Iterator[str]:
    batch_size = training.global_batch_size
    if batch_size != "auto" and batch_size % training.accumulation:
        yield (
            f"training.accumulation: {training.accumulation} parts do not divide batches of "
            f"{batch_size}. Choose a divisor of `training.global_batch_size`."
        )
    if training.accumulation > 1 and training.jit_compile is True:
        yield (
            "training.jit_compile: XLA compiles steps of one size, and `training.accumulation` "
            "takes batches apart into parts of sizes that it cannot know. Use one of the two."
        )
    corrections = {
        "training.class_weights": training.class_weights != "none",
        "training.sampling=balanced": training.sampling == "balanced",
        "training.logit_adjustment": training.logit_adjustment > 0
        # Costs of one's own are no correction for how often a class comes.
        and not isinstance(training.class_weights, dict),
    }
    given = [name for name, is_given in corrections.items() if is_given]
    if len(given) > 1:
        yield (
            f"{given[0]}: with {' and '.join(given[1:])}, rare classes would be corrected for "
            f"{len(given)} times over. Keep one of them."
        )
    for name in ("mixup", "cutmix"):
        if getattr(training, name) and batch_size == 1:
            yield (
                f"training.{name}: blends examples of one batch, and `training.global_batch_size` "
                "is 1. Leave it away, or use batches of 2 at least."
            )
    if training.soup == 1:
        yield (
            "training.soup: found 1, but the average of one checkpoint is no average. Use 2 to "
            "20, 0 for none, or `training.early_stopping`, which restores the best epoch."
        )


def _check_statistics(
    planned: Sequence[_Planned], config: StrategyConfig, training: TrainingConfig
) -> Iterator[str]:
    """Batch statistics are of the whole batch: parts of it would give other gradients."""
    for each in planned:
        if training.accumulation > 1 and each.phase.batch_norm == "trainable":
            instead = (
                f"`{each.where}.batch_norm: frozen`"
                if config.name == "phases"
                else "`strategy.batch_norm=frozen` (with random weights they train by default)"
            )
            yield (
                f"training.accumulation: phase {each.phase.name!r} trains batch statistics, which "
                f"are of the whole batch, and {training.accumulation} parts would each take their "
                f"own. Use {instead}, or `training.accumulation=1`."
            )
            return


def _check_warmup(
    planned: Sequence[_Planned], training: TrainingConfig, problems: Problems
) -> Iterator[str]:
    """That the rate reaches its peak, where that can be told: of a share, and of steps in steps."""

    def resolve(percent_of: int) -> int:
        return resolve_duration(
            training.warmup,
            num_examples=_STAND_IN,
            steps_per_epoch=_STAND_IN,
            where="training.warmup",
            percent_of=percent_of,
            least=0,
        )

    before = len(problems.found)
    with problems.noted():
        resolve(_STAND_IN)
    if len(problems.found) > before:
        return
    unit = unit_of(training.warmup)
    for each in planned:
        phase = each.phase
        is_known = unit == "percent" or (unit == "step" and each.is_in("step"))
        if phase.method == "solve" or not is_known or resolve(phase.steps) < phase.steps:
            continue
        length = f"has {phase.steps} steps" if each.is_in("step") else "lasts no longer"
        yield (
            f"training.warmup: {training.warmup!r} is too long, for phase {phase.name!r} {length}: "
            "its rate would never reach the peak. Give a shorter warmup, such as '10 percent', or "
            "a longer phase."
        )
        return


def _check_refit(setting: Setting, training: TrainingConfig, *, is_fold: bool) -> Iterator[str]:
    if setting.config.refit is not True or setting.config.name != "auto":
        return
    obstacle = find_obstacle(
        training,
        num_validation=_STAND_IN,
        num_holdout=_STAND_IN,
        is_fold=is_fold,
        is_pretrained=setting.is_pretrained,
    )
    if obstacle is not None:
        yield f"strategy.refit: {obstacle} Leave one of the two away."
