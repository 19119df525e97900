"""Strategy of explicit phases, which the pipeline lists itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from kft.config import PhaseConfig
from kft.errors import ConfigError
from kft.strategies.durations import unit_of
from kft.strategies.layerwise import decayed
from kft.strategies.parts import Part
from kft.strategies.phases import Fit, Phase, Scope, Solve
from kft.strategies.problems import Problems
from kft.strategies.selection import GROUPS, unknown_block
from kft.strategies.setting import SOLVABLE, Setting
from kft.strategies.traits import resolve_bias_norm_blocks, resolve_lora_blocks

# Reasons why settings of `strategy` that exist per phase are not obeyed.
_REASONS = {
    **dict.fromkeys(
        ("learning_rate", "layer_decay", "batch_norm"), "Set it in each of `strategy.phases`."
    ),
    "duration": (
        "No duration in `strategy.phases` is a percentage of it. Write for example `duration: 50 "
        "percent` in a phase."
    ),
    "probe_layers": "No phase is solved. Write `method: solve` in a phase of the head.",
}


def explicit_phases(setting: Setting) -> tuple[Part, ...]:
    """Return one part per phase that the pipeline lists."""
    return tuple(
        Part(
            partial(_plan_listed, index=index),
            _list_obeyed(listed),
            reasons=_REASONS,
            where=f"strategy.phases[{index}]",
        )
        for index, listed in enumerate(setting.config.phases)
    )


def _list_obeyed(listed: PhaseConfig) -> tuple[str, ...]:
    """List the settings of `strategy` that a listed phase reads."""
    duration = ("duration",) if unit_of(listed.duration) == "percent" else ()
    layers = ("probe_layers",) if listed.method == "solve" else ()
    return ("phases", *duration, *layers)


def _plan_listed(setting: Setting, index: int) -> tuple[Phase, ...]:
    """Plan one phase as it is listed.

    Raises:
        ConfigError: Settings of the phase contradict each other or the backbone; all are listed.
    """
    config, where = setting.config.phases[index], f"strategy.phases[{index}]"
    problems = Problems()
    trainable: tuple[str, ...] = ()
    steps = 0
    with problems.noted():
        trainable = _resolve_trainable(setting, config, where)
        problems.add(*_check_multipliers(setting, config, trainable, where))
        if config.method == "fit":
            problems.add(*_check_fitted(setting, index, trainable, where))
    if config.method == "solve":
        problems.add(*_check_solved(setting, config, trainable, where))
    else:
        with problems.noted():
            percent_of = setting.budget()
            steps = setting.steps(config.duration, f"{where}.duration", percent_of=percent_of)
    problems.refuse(where)
    backbone = [block for block in trainable if block != setting.head]
    multipliers = decayed(backbone, config.layer_decay)
    for block, factor in config.multipliers.items():
        multipliers[block] = multipliers.get(block, 1.0) * factor
    scope = Scope(trainable, config.part, config.lora, config.batch_norm)
    if config.method == "solve":
        return (Phase(config.name, scope, Solve()),)
    fit = Fit(
        learning_rate=config.learning_rate,
        steps=steps,
        steps_per_epoch=setting.steps_per_epoch,
        multipliers=multipliers,
        augmentation=config.augmentation or setting.augmentation,
        weight_decay=config.weight_decay,
    )
    return (Phase(config.name, scope, fit),)


def _resolve_trainable(setting: Setting, config: PhaseConfig, where: str) -> tuple[str, ...]:
    """Resolve the blocks that train; a group keeps the blocks where `lora` or `part` applies."""
    trainable = setting.blocks(config.trainable, f"{where}.trainable")
    if config.lora is None and config.part == "all":
        return trainable
    path = f"{where}.part" if config.lora is None else f"{where}.lora"
    if config.lora is not None and config.part == "bias_norm":
        raise ConfigError(
            f"{path}: low-rank factors are added to kernels, but `part: bias_norm` leaves kernels "
            "unchanged. Choose one of the two, or list two phases."
        )
    if trainable == (setting.head,):
        raise ConfigError(
            f"{path}: applies to blocks of the backbone, but only the head trains in this phase. "
            "Name blocks under `trainable`, or remove it."
        )
    traits = [block for block in setting.traits if block.name in trainable]
    if config.lora is None:
        reached = resolve_bias_norm_blocks(traits, path)
    else:
        reached = resolve_lora_blocks(config.lora, traits, path)
    idle = [b.name for b in traits if b.name in config.trainable and b.name not in reached]
    if idle:
        raise ConfigError(
            f"{where}.trainable: nothing in block {', '.join(map(repr, idle))} would train: "
            f"{path.removeprefix(where + '.')!r} does not apply to it. Blocks that it applies to: "
            f"{', '.join(reached)}."
        )
    return tuple(block for block in trainable if block in reached or block == setting.head)


def _check_solved(
    setting: Setting, config: PhaseConfig, trainable: tuple[str, ...], where: str
) -> Iterator[str]:
    """Check a phase whose head is solved; `trainable` is empty if its blocks were refused."""
    for name in config.given(of_steps=True):
        yield (
            f"{where}.{name}: has no effect under `method: solve`, which takes no steps. Remove "
            "it, or use `method: fit`."
        )
    if others := [block for block in trainable if block != setting.head]:
        yield (
            f"{where}.method: 'solve' finds the optimum of the head only; {', '.join(others)} "
            "cannot be solved. Use `method: fit`, or `trainable: [head]`."
        )
    if not setting.has_linear_head:
        yield f"{where}.method: 'solve' {SOLVABLE} Use `method: fit`, or remove them."
    if config.augmentation not in (None, "none"):
        yield (
            f"{where}.augmentation: {config.augmentation!r} changes inputs from epoch to epoch, "
            "but a solution has no epochs. Use `method: fit`, or `augmentation: none`."
        )


def _check_fitted(
    setting: Setting, index: int, trainable: tuple[str, ...], where: str
) -> Iterator[str]:
    """Check a phase that takes steps for weights that never move and settings without effect."""
    *earlier, config = setting.config.phases[: index + 1]
    backbone = [block for block in trainable if block != setting.head]
    if config.layer_decay != 1.0 and len(backbone) < 2:
        trains = f"only backbone block {backbone[0]!r}" if backbone else "only the head"
        yield (
            f"{where}.layer_decay: found {config.layer_decay}, but {trains} trains in this phase, "
            "and it keeps the full rate. Remove it, or name more blocks under `trainable`."
        )
    if config.batch_norm == "trainable" and not backbone:
        yield (
            f"{where}.batch_norm: 'trainable' updates the statistics of trainable blocks, but only "
            "the head trains in this phase. Remove it, or name blocks under `trainable`."
        )
    if config.lora is not None and config.batch_norm == "trainable":
        yield (
            f"{where}.batch_norm: 'trainable' updates batch statistics, but with low-rank factors "
            "the rest of the backbone is frozen. Use `batch_norm: frozen`."
        )
    is_head_trained = any({setting.head, "all"} & {*before.trainable} for before in earlier)
    if setting.head not in trainable and not is_head_trained:
        yield (
            f"{where}.trainable: no gradient would reach {', '.join(backbone)}: the last layer of "
            "the head starts at zero, and no earlier phase trains it. Add 'head', or list a phase "
            "before this one that trains or solves the head."
        )


def _check_multipliers(
    setting: Setting, config: PhaseConfig, trainable: tuple[str, ...], where: str
) -> Iterator[str]:
    for block in config.multipliers:
        if block in GROUPS:
            yield f"{where}.multipliers: name single blocks, not {block!r}."
        elif block not in setting.block_names:
            yield unknown_block(
                block, setting.block_names, f"{where}.multipliers", setting.backbone
            )
        elif block not in trainable:
            yield (
                f"{where}.multipliers: block {block!r} has a multiplier but is frozen in "
                f"this phase. Trainable: {', '.join(trainable)}."
            )
