"""The value that this room hands on: a `Phase`, and the one vocabulary for durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kft.config import FeaturesConfig, LoraConfig, TrainingConfig
from kft.data.splits import SplitName
from kft.errors import ConfigError

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(epochs?|steps?|examples?|percent|%)?\s*$")


@dataclass(frozen=True)
class Phase:
    """What trains, how fast and how long: one `model.fit`, or one solution.

    Attributes:
        name: Also the name of its folder in the run.
        trainable: Blocks that train, shallow to deep.
        learning_rate: Peak rate of a block with multiplier 1.
        steps: Optimizer steps; 0 for a probe that is solved.
        steps_per_epoch: Steps that see every example once that is learnt from.
        learns_from: Splits whose examples it learns from.
        method: 'fit', or 'solve' for the optimum of a linear head.
        part: 'all' weights of the trainable blocks, or 'bias_norm': biases
            and normalisation alone.
        lora: Low-rank factors train in place of the backbone's kernels.
        batch_norm: Whether batch statistics of trainable blocks rest.
        multipliers: Factor on the rate of a block, layer-wise decay
            included; 1 where absent.
        augmentation: Preset for the training pictures.
        weight_decay: Decoupled; None for the pipeline's own.
        mixup: Alpha of mixup; None for the pipeline's own.
        candidates: Variants of this phase; each is tried for `pilot_steps`
            from where the phase begins, judged on validation. The phase
            goes on as the best of them.
        is_sequential: Go on with the first candidate that is not worse, beyond
            chance, than the weights the phase began with; try none after it.
        pilot_steps: Steps of a candidate's trial.
        must_beat_start: Keep the weights the phase began with, unless it is
            better than they are beyond the confidence interval on validation.
        is_trial: Keep them in any case: the phase only finds out whether it
            is better, and ends as soon as a candidate's trial shows it.
        otherwise: What takes the place of this phase where the one before it
            was not better than its start; where it was, this one goes by the
            rate that was chosen there. None for a phase that depends on none.
    """

    name: str
    trainable: tuple[str, ...]
    learning_rate: float
    steps: int
    steps_per_epoch: int
    learns_from: tuple[SplitName, ...] = ("train",)
    method: Literal["fit", "solve"] = "fit"
    part: Literal["all", "bias_norm"] = "all"
    lora: LoraConfig | None = None
    batch_norm: str = "frozen"
    multipliers: Mapping[str, float] = field(default_factory=dict)
    augmentation: str = "none"
    weight_decay: float | None = None
    mixup: float | None = None
    candidates: tuple[Phase, ...] = ()
    is_sequential: bool = False
    pilot_steps: int = 0
    must_beat_start: bool = False
    is_trial: bool = False
    otherwise: Phase | None = None

    @property
    def epochs(self) -> int:
        """Passes begun over its examples; the last may be partial."""
        return -(-self.steps // self.steps_per_epoch)

    def repeats_inputs(self, features: FeaturesConfig) -> bool:
        """Whether it sees a picture twice in the same form, so that storing its features pays."""
        return self.augmentation == "none" or 0 < features.views < self.epochs


def unit_of(duration: str | float) -> str:
    """'epoch', 'step', 'example' or 'percent'; empty where `resolve_duration` would refuse it."""
    match = _DURATION.match(str(duration))
    if match is None:
        return ""
    return "percent" if match[2] == "%" else (match[2] or "epochs").rstrip("s")


def resolve_duration(
    duration: str | float,
    *,
    num_examples: int,
    steps_per_epoch: int,
    where: str,
    percent_of: int | None = None,
    least: int = 1,
) -> int:
    """Steps of a duration such as '10 epochs', '500 steps', '20000 examples' or '50 percent'.

    Args:
        duration: A bare number means epochs.
        num_examples: In the training split.
        steps_per_epoch: Steps that see every example once.
        where: Path of the setting, for messages.
        percent_of: Steps that are 100 percent; None where percent mean nothing.
        least: Fewest steps that are allowed, 0 or 1.

    Raises:
        ConfigError: It has another form, is a percentage of nothing, or
            comes to less than `least` steps.
    """
    match = _DURATION.match(str(duration))
    if match is None:
        share = "" if percent_of is None else ", or a share such as '10 percent'"
        raise ConfigError(
            f"{where}: found {duration!r}. A duration is a number of epochs, steps or examples, "
            f"for example '10 epochs', '500 steps', '20000 examples'{share}."
        )
    amount, unit = float(match[1]), unit_of(duration)
    if unit == "step" and amount != int(amount):
        raise ConfigError(f"{where}: found {duration!r}. Steps are whole numbers.")
    if unit == "percent":
        steps = _share_of(amount, percent_of, duration, where)
    else:
        per_unit = {"epoch": steps_per_epoch, "step": 1, "example": steps_per_epoch / num_examples}
        steps = round(amount * per_unit[unit])
    if steps < least:
        raise ConfigError(f"{where}: {duration!r} comes to no step at all; train for one at least.")
    return steps


def resolve_warmup(config: TrainingConfig, phase: Phase, *, num_examples: int) -> int:
    """Steps of `training.warmup` in a phase.

    Raises:
        ConfigError: It is no duration, or as long as the phase.
    """
    steps = resolve_duration(
        config.warmup,
        num_examples=num_examples,
        steps_per_epoch=phase.steps_per_epoch,
        where="training.warmup",
        percent_of=phase.steps,
        least=0,
    )
    if steps >= phase.steps:
        # Of a share no number is told: before the data is read, nobody knows it.
        is_share = unit_of(config.warmup) == "percent"
        found = (
            f"takes all steps of phase {phase.name!r}"
            if is_share
            else f"comes to {steps} steps, but phase {phase.name!r} has {phase.steps}"
        )
        raise ConfigError(
            f"training.warmup: {config.warmup!r} {found}: its rate would never reach the peak. "
            "Give a shorter warmup, such as '10 percent', or a longer phase."
        )
    return steps


def _share_of(amount: float, whole: int | None, duration: str | float, where: str) -> int:
    if whole is None:
        raise ConfigError(
            f"{where}: found {duration!r}, but there is nothing here that it could be a share of. "
            "Write epochs, steps or examples."
        )
    if amount > 100:
        raise ConfigError(f"{where}: found {duration!r}. A share is at most 100 percent.")
    return round(amount / 100 * whole)
