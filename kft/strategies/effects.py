"""Settings that would do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kft.config import StrategyConfig, TrainingConfig
from kft.model import HEAD
from kft.strategies.phases import Phase, unit_of
from kft.strategies.setting import Setting

PROBE = "linear_probe"
# Settings of `strategy` -> the strategies that do not look at them.
_UNUSED_BY = {
    "learning_rate": ("linear_probe", "phases"),
    "duration": ("linear_probe",),
    "layer_decay": ("linear_probe", "phases", "surgical"),
    "batch_norm": ("linear_probe", "phases", "lora"),
    "probe": ("full", "phases"),
}
# Settings of `strategy` for one strategy alone.
_USED_BY = {
    "top_blocks": "top_k",
    "block": "surgical",
    "lora": "lora",
    "freeze": "auto",
    "refit": "auto",
}
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


def check_effects(
    setting: Setting, training: TrainingConfig, phases: Sequence[Phase]
) -> Iterator[str]:
    """Settings that would be without effect: never ignore in silence.

    Args:
        setting: What the strategy looks at; the data may be unknown.
        training: The pipeline's `training` section.
        phases: That the strategy stands for; none where they could not be planned.

    Yields:
        What is wrong, each with the path of its setting.
    """
    config, default = setting.config, StrategyConfig()
    for name, strategies in _UNUSED_BY.items():
        if config.name in strategies and getattr(config, name) != getattr(default, name):
            instead = "Set it in each of `strategy.phases`." if config.name == "phases" else ""
            yield f"strategy.{name}: has no effect under `name: {config.name}`. {instead}".rstrip()
    for name, strategy in _USED_BY.items():
        if config.name != strategy and getattr(config, name) != getattr(default, name):
            yield f"strategy.{name}: has an effect under `name: {strategy}` alone."
    has_share = any(unit_of(phase.duration) == "percent" for phase in config.phases)
    if config.name == "phases" and config.duration is not None and not has_share:
        yield (
            "strategy.duration: no duration of `strategy.phases` is in percent of it. Leave it "
            "away, or write for example `duration: 50 percent` in a phase."
        )
    if not phases:
        return
    yield from _check_probe(config, phases)
    yield from _check_decays(config, training, phases)
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


def _check_probe(config: StrategyConfig, phases: Sequence[Phase]) -> Iterator[str]:
    probes = [phase for phase in phases if phase.name == PROBE and config.name != "phases"]
    reason = (
        "no probe is trained by steps here. A linear head is solved, unless "
        "`strategy.probe=trained` says otherwise."
    )
    names = ["probe_learning_rate", "probe_duration"]
    if config.name not in _UNUSED_BY["probe"] and not probes:
        reason = (
            f"`name: {config.name}` has no probe where the backbone's weights are random. Leave it "
            "away, or use `strategy.name=lp_ft`."
        )
        names.insert(0, "probe")
    elif any(phase.method == "fit" for phase in probes):
        return
    for name in names:
        if getattr(config, name) != getattr(StrategyConfig(), name):
            yield f"strategy.{name}: {reason}"


def _check_decays(
    config: StrategyConfig, training: TrainingConfig, phases: Sequence[Phase]
) -> Iterator[str]:
    """What goes by the blocks of the backbone that train."""
    fitted = [phase for phase in phases if phase.method == "fit"]
    num_blocks = [sum(name != HEAD for name in phase.trainable) for phase in fitted]
    decay = config.layer_decay or 1.0
    if (
        decay != 1.0
        and config.name not in _UNUSED_BY["layer_decay"]
        and max(num_blocks, default=0) < 2
    ):
        more = ", or `strategy.top_blocks` above 1" if config.name == "top_k" else ""
        yield (
            f"strategy.layer_decay: found {decay}, but of the backbone one block alone trains, "
            f"which keeps the full rate. Leave it away{more}."
        )
    has_kernels = any(
        count and phase.part == "all" for phase, count in zip(fitted, num_blocks, strict=True)
    )
    if training.l2_sp and fitted and not has_kernels:
        yield (
            "training.l2_sp: it holds kernels of the backbone near their start, and none of them "
            f"trains under `name: {config.name}`. Leave it away, or use `strategy.name=lp_ft`."
        )
