"""Checks for contradictory settings, made before any data is read.

Each part of a strategy declares the settings that it obeys and refuses what it cannot plan, and the
`training` section checks itself. The checks here concern a strategy as a whole, or its phases
together with another section.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from kft.config import FeaturesConfig, TrainingConfig
from kft.errors import ConfigError
from kft.strategies import STRATEGIES, find_parts
from kft.strategies.automatic import refits
from kft.strategies.durations import resolve_duration, resolve_warmup
from kft.strategies.parts import Part, plan_parts
from kft.strategies.phases import Phase
from kft.strategies.presets import is_solved
from kft.strategies.problems import Problems
from kft.strategies.setting import MANY, Setting

_Planned = Sequence[tuple[Part, Phase]]


def check_strategy(
    setting: Setting, *, training: TrainingConfig, features: FeaturesConfig, is_fold: bool
) -> None:
    """Refuse settings that contradict each other or the backbone, without reading data.

    Args:
        setting: Input of the strategies, with stand-ins for the sizes of the data set.
        training: The pipeline's `training` section.
        features: The pipeline's `features` section.
        is_fold: Whether validation is one of several folds, each of which judges a run.

    Raises:
        ConfigError: Settings contradict each other; every contradiction is listed with its reason.
    """
    config = setting.config
    parts, problems = find_parts(config.name, setting), Problems()
    planned = plan_parts(parts, setting, problems)
    is_whole = not problems.found
    # Phases of the smallest data set are checked too, but a phase that is too short there may be
    # long enough with more data, so the problems of planning it do not count.
    smallest = plan_parts(parts, replace(setting, num_examples=1, steps_per_epoch=1), Problems())
    with problems.noted():
        refits(
            config,
            training,
            num_validation=setting.num_validation,
            num_holdout=setting.num_validation,
            is_fold=is_fold,
            is_pretrained=setting.is_pretrained,
            has_solved_probe=is_solved(setting),
        )
    with problems.noted():
        _check_warmup(smallest, planned, training)
    obeyed = {name for part in parts for name in part.obeys}
    problems.add(*_find_unobeyed(setting, parts, obeyed))
    problems.add(*training.contradictions())
    for part, phase in (*planned, *smallest):
        where = part.where or f"strategy.name: phase {phase.name!r} of {config.name!r}"
        problems.add(*_check_stored(phase, where, setting, features, training))
    problems.add(*_check_statistics(planned, training))
    if is_whole:
        problems.add(*_check_effects(setting, [phase for _, phase in planned], training, obeyed))
    problems.refuse("pipeline")


def _find_unobeyed(
    setting: Setting, parts: Sequence[Part], obeyed: Collection[str]
) -> Iterator[str]:
    """Find settings without effect, which are refused rather than silently ignored."""
    for name in setting.config.given():
        if name == "name" or name in obeyed:
            continue
        others = [
            strategy
            for strategy in STRATEGIES
            if any(name in part.obeys for part in find_parts(strategy, setting))
        ]
        advice = f"Strategies that obey it: {', '.join(others)}." if others else "Remove it."
        reason = next((part.reasons[name] for part in parts if name in part.reasons), advice)
        yield f"strategy.{name}: has no effect under `name: {setting.config.name}`. {reason}"


def _check_stored(
    phase: Phase, where: str, setting: Setting, features: FeaturesConfig, training: TrainingConfig
) -> Iterator[str]:
    """Find settings that stored features, which are computed once, cannot satisfy."""
    if phase.method == "solve" or not features.enabled or not _has_frozen_prefix(phase, setting):
        return
    augmentation = phase.recipe.augmentation
    if augmentation != "none" and not features.views and features.augmented_prefix == "refuse":
        yield (
            f"{where}: augmentation {augmentation!r} changes examples in every epoch, but "
            "the frozen part of the model is computed once and `features.views` is 0. Store "
            "augmented views with `features.views=4`, compute the frozen part in every step with "
            "`features.augmented_prefix=compute`, or use `augmentation: none`."
        )
    elif training.cutmix and phase.repeats_inputs(features):
        yield (
            f"training.cutmix: {where} trains on stored features, which have no rectangles to "
            "exchange. Use `training.mixup`, or `features.enabled=false`."
        )


def _has_frozen_prefix(phase: Phase, setting: Setting) -> bool:
    """Tell whether a part of the model before the first trainable block can be computed once."""
    names = list(setting.backbone_blocks)
    first = min(
        (names.index(name) for name in phase.scope.trainable if name in names), default=None
    )
    return first is None or any(block.ends_in_cut for block in setting.traits[:first])


def _check_statistics(planned: _Planned, training: TrainingConfig) -> Iterator[str]:
    """Refuse accumulation with trained batch statistics, since parts give other gradients."""
    for part, phase in planned:
        if training.accumulation > 1 and phase.scope.batch_norm == "trainable":
            instead = (
                f"`{part.where}.batch_norm: frozen`"
                if part.where
                else "`strategy.batch_norm=frozen` (random weights train them by default)"
            )
            yield (
                f"training.accumulation: phase {phase.name!r} trains batch statistics, which are "
                f"computed over the whole batch, but {training.accumulation} parts would each "
                f"compute their own. Use {instead}, or `training.accumulation=1`."
            )
            return


def _check_warmup(smallest: _Planned, planned: _Planned, training: TrainingConfig) -> None:
    """Check that the warmup is a duration, and shorter than each phase for any data size.

    A problem that does not depend on the size of the data gives the same message for the smallest
    and for a large data set.

    Raises:
        ConfigError: The warmup is not a duration, or takes all steps of a phase.
    """
    resolve_duration(
        training.warmup,
        num_examples=MANY,
        steps_per_epoch=MANY,
        where="training.warmup",
        percent_of=MANY,
        least=0,
    )
    few, many = Problems(), Problems()
    for problems, phases, size in ((few, smallest, 1), (many, planned, MANY)):
        for _, phase in phases:
            if phase.method == "fit":
                with problems.noted():
                    resolve_warmup(training, phase, num_examples=size)
    for problem in many.found:
        if problem in few.found:
            raise ConfigError(problem)


def _check_effects(
    setting: Setting, phases: Sequence[Phase], training: TrainingConfig, obeyed: Collection[str]
) -> Iterator[str]:
    """Find settings that apply to no phase of the strategy."""
    config = setting.config
    fitted = [phase for phase in phases if phase.method == "fit"]
    if not fitted:
        for name in training.given(of_steps=True):
            yield (
                f"training.{name}: has no effect, because the head is solved and nothing is "
                "trained by steps. Use `strategy.probe=trained`, or a strategy that fine-tunes."
            )
        return
    if training.wise_ft and len(phases) < 2:
        yield (
            "training.wise_ft: interpolates between the weights of a probe and the fine-tuned "
            f"weights, but `name: {config.name}` has one phase. Use `strategy.name=lp_ft`."
        )
    if training.l2_sp and not any(
        phase.scope.part == "all" and set(phase.scope.trainable) != {setting.head}
        for phase in fitted
    ):
        yield (
            "training.l2_sp: keeps kernels of the backbone near their start, but none of them "
            f"trains under `name: {config.name}`. Remove it, or use `strategy.name=lp_ft`."
        )
    decay = config.layer_decay or 1.0
    is_decayed = any(set(phase.fit.multipliers) - {setting.head} for phase in fitted)
    if decay != 1.0 and "layer_decay" in obeyed and not is_decayed:
        more = ", or raise `strategy.top_blocks`" if "top_blocks" in obeyed else ""
        yield (
            f"strategy.layer_decay: found {decay}, but only one block of the backbone trains, and "
            f"it keeps the full rate. Remove it{more}."
        )
