"""Durations in epochs, steps, examples or percent, resolved to steps."""

from __future__ import annotations

import re

from kft.config import TrainingConfig
from kft.errors import ConfigError
from kft.strategies.phases import Phase

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(epochs?|steps?|examples?|percent|%)?\s*$")


def unit_of(duration: str | float) -> str:
    """Return the unit of a duration, empty if `resolve_duration` would refuse it.

    >>> unit_of("10 epochs"), unit_of("50%"), unit_of("soon")
    ('epoch', 'percent', '')
    """
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
    """Resolve a duration to steps.

    >>> resolve_duration("10 epochs", num_examples=64, steps_per_epoch=2, where="here")
    20

    Args:
        duration: Text such as '10 epochs', '500 steps', '20000 examples' or '50 percent'; a bare
            number means epochs.
        num_examples: Number of examples in the training split.
        steps_per_epoch: Steps that see every example once.
        where: Path of the setting, for messages.
        percent_of: Number of steps that 100 percent stand for; None if percent are not allowed.
        least: Smallest number of steps that is allowed, 0 or 1.

    Raises:
        ConfigError: The duration has another form, is in percent where these are not allowed, or
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
        raise ConfigError(
            f"{where}: {duration!r} comes to less than one step. Train for at least one."
        )
    return steps


def resolve_seconds(span: str | None) -> float | None:
    """Resolve a time such as '10 minutes' to seconds; None stays None.

    >>> resolve_seconds("1.5 minutes")
    90.0
    """
    if span is None:
        return None
    amount, unit = span.split()
    return float(amount) * {"seconds": 1, "minutes": 60, "hours": 3600}[unit]


def resolve_warmup(config: TrainingConfig, phase: Phase, *, num_examples: int) -> int:
    """Resolve `training.warmup` to steps of a fitted phase.

    Raises:
        ConfigError: The warmup is not a duration, or is as long as the phase.
    """
    steps = resolve_duration(
        config.warmup,
        num_examples=num_examples,
        steps_per_epoch=phase.fit.steps_per_epoch,
        where="training.warmup",
        percent_of=phase.fit.steps,
        least=0,
    )
    if steps >= phase.fit.steps:
        # The number of steps behind a share is unknown before the data is read.
        is_share = unit_of(config.warmup) == "percent"
        found = (
            f"takes all steps of phase {phase.name!r}"
            if is_share
            else f"comes to {steps} steps, but phase {phase.name!r} has {phase.fit.steps}"
        )
        raise ConfigError(
            f"training.warmup: {config.warmup!r} {found}: the learning rate would never reach its "
            "peak. Set a shorter warmup, such as '10 percent', or a longer phase."
        )
    return steps


def _share_of(amount: float, whole: int | None, duration: str | float, where: str) -> int:
    if whole is None:
        raise ConfigError(
            f"{where}: found {duration!r}, but a percentage is not allowed here. Write epochs, "
            "steps or examples."
        )
    if amount > 100:
        raise ConfigError(f"{where}: found {duration!r}. A share is at most 100 percent.")
    return round(amount / 100 * whole)
