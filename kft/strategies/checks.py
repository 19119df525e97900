"""What contradicts itself, told before any data is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kft.config import FeaturesConfig, HeadConfig, StrategyConfig, TrainingConfig
from kft.model import HEAD
from kft.strategies import plan_phases
from kft.strategies.automatic import find_obstacle
from kft.strategies.explicit import explicit_phase
from kft.strategies.phases import Phase, resolve_duration
from kft.strategies.presets import linear_probe
from kft.strategies.problems import Problems
from kft.strategies.setting import SOLVABLE, Setting
from kft.strategies.traits import BlockTraits

# Before the data is read: so many examples in batches of one, that no duration comes to nothing.
_STAND_IN = 10**6
# Settings of `strategy` -> the strategies that do not look at them.
_UNUSED_BY = {
    "learning_rate": ("linear_probe", "phases"),
    "duration": ("linear_probe",),
    "layer_decay": ("linear_probe", "phases", "surgical"),
    "batch_norm": ("linear_probe", "phases", "lora"),
    "probe": ("full", "phases"),
}
# Settings of `strategy` for one strategy alone.
_USED_BY = {"top_blocks": "top_k", "block": "surgical", "lora": "lora", "refit": "auto"}
# Settings of `training` that only steps of training obey; a solution obeys the others.
_OF_STEPS = (
    "optimizer",
    "schedule",
    "warmup",
    "weight_decay",
    "clip_norm",
    "accumulation",
    "l2_sp",
    "mixup",
    "cutmix",
    "ema",
    "early_stopping",
    "soup",
    "wise_ft",
)


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
    phases = _expand(setting, problems)
    for where, phase in phases:
        for problem in _check_phase(where, phase, setting, training=training, features=features):
            problems.add(problem)
    for problem in (
        *_check_refit(setting, training),
        *_check_training(training, problems),
        *_check_use(setting, training, [phase for _, phase in phases]),
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


def _expand(setting: Setting, problems: Problems) -> list[tuple[str, Phase]]:
    """The phases that can be planned, each with the path of its settings."""
    if setting.config.name == "phases":
        planned = [
            (f"strategy.phases[{index}]", explicit_phase(setting, index, problems))
            for index in range(len(setting.config.phases))
        ]
        return [(where, phase) for where, phase in planned if phase is not None]
    if setting.config.name != "full":
        before = len(problems.found)
        with problems.noted():
            linear_probe(setting)
        if len(problems.found) > before:
            # What is wrong with the probe shall not hide what is wrong after it.
            config = setting.config.model_copy(update={"probe": "trained", "probe_duration": 1})
            setting = replace(setting, config=config)
    with problems.noted():
        return [
            (f"strategy.name: phase {phase.name!r} of {setting.config.name!r}", phase)
            for phase in plan_phases(setting)
        ]
    return []


def _check_phase(
    where: str,
    phase: Phase,
    setting: Setting,
    *,
    training: TrainingConfig,
    features: FeaturesConfig,
) -> Iterator[str]:
    if phase.method == "solve":
        yield from _check_solution(where, phase, setting)
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
    elif training.cutmix and (is_plain or features.views):
        yield (
            f"training.cutmix: {where} trains on stored features, which have no rectangles to "
            "exchange. Use `training.mixup`, or `features.enabled=false`."
        )


def _check_solution(where: str, phase: Phase, setting: Setting) -> Iterator[str]:
    if phase.trainable != (setting.head,):
        others = [block for block in phase.trainable if block != setting.head]
        yield (
            f"{where}.method: 'solve' finds the optimum of the head alone; {', '.join(others)} "
            "cannot be solved for. Use `method: fit`, or `trainable: [head]`."
        )
    if not setting.has_linear_head:
        yield (f"{where}.method: 'solve' {SOLVABLE} Use `method: fit`, or leave them away.")
    if phase.augmentation != "none":
        yield (
            f"{where}.augmentation: {phase.augmentation!r} changes pictures from epoch to epoch, "
            "and a solution has no epochs. Use `method: fit`, or `augmentation: none`."
        )


def _has_frozen_prefix(phase: Phase, setting: Setting) -> bool:
    """Whether some of the model before the first trainable block can be computed once."""
    names = list(setting.backbone_blocks)
    first = min((names.index(name) for name in phase.trainable if name in names), default=None)
    return first is None or any(block.ends_in_cut for block in setting.traits[:first])


def _check_training(training: TrainingConfig, problems: Problems) -> Iterator[str]:
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
    with problems.noted():
        resolve_duration(
            training.warmup,
            num_examples=_STAND_IN,
            steps_per_epoch=_STAND_IN,
            where="training.warmup",
            percent_of=_STAND_IN,
            least=0,
        )


def _check_refit(setting: Setting, training: TrainingConfig) -> Iterator[str]:
    if setting.config.refit is not True or setting.config.name != "auto":
        return
    obstacle = find_obstacle(
        training,
        num_validation=_STAND_IN,
        num_holdout=_STAND_IN,
        is_fold=False,
        is_pretrained=setting.is_pretrained,
    )
    if obstacle is not None:
        yield f"strategy.refit: {obstacle} Leave one of the two away."


def _check_use(
    setting: Setting, training: TrainingConfig, phases: Sequence[Phase]
) -> Iterator[str]:
    """Settings that would be without effect: never ignore in silence."""
    config, default = setting.config, StrategyConfig()
    for name, strategies in _UNUSED_BY.items():
        if config.name in strategies and getattr(config, name) != getattr(default, name):
            instead = "Set it in each of `strategy.phases`." if config.name == "phases" else ""
            yield f"strategy.{name}: has no effect under `name: {config.name}`. {instead}".rstrip()
    for name, strategy in _USED_BY.items():
        if config.name != strategy and getattr(config, name) != getattr(default, name):
            yield f"strategy.{name}: has an effect under `name: {strategy}` alone."
    if not phases:
        return
    is_trained = config.name != "phases" and any(
        phase.name == "linear_probe" and phase.method == "fit" for phase in phases
    )
    for name in ("probe_learning_rate", "probe_duration"):
        if not is_trained and getattr(config, name) != getattr(default, name):
            yield (
                f"strategy.{name}: no probe is trained by steps here. A linear head is solved, "
                "unless `strategy.probe=trained` says otherwise."
            )
    if all(phase.method == "solve" for phase in phases):
        for name in _OF_STEPS:
            if getattr(training, name) != getattr(TrainingConfig(), name):
                yield (
                    f"training.{name}: has no effect, for nothing is trained by steps: the head is "
                    "solved. Use `strategy.probe=trained`, or a strategy that fine-tunes."
                )
    elif training.wise_ft and len(phases) < 2:
        yield (
            "training.wise_ft: goes between the weights of a probe and the fine-tuned ones, but "
            f"`name: {config.name}` has one phase. Use `strategy.name=lp_ft`."
        )
