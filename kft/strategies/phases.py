"""The value that this room hands on: a `Phase`, and the one vocabulary for durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kft.errors import ConfigError

_DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(epochs?|steps?|examples?)?\s*$")


@dataclass(frozen=True)
class Phase:
    """What trains, how fast and how long: one `model.fit`.

    Attributes:
        name: Also the name of its folder in the run.
        trainable: Blocks that train, shallow to deep.
        learning_rate: Peak rate of a block with multiplier 1.
        steps: Optimizer steps.
        steps_per_epoch: Steps that see every training example once.
        batch_norm: Whether batch statistics of trainable blocks rest.
        multipliers: Factor on the rate of a block; 1 where absent.
        augmentation: Preset for the training pictures.
        weight_decay: Decoupled; None for the pipeline's own.
    """

    name: str
    trainable: tuple[str, ...]
    learning_rate: float
    steps: int
    steps_per_epoch: int
    batch_norm: str = "frozen"
    multipliers: Mapping[str, float] = field(default_factory=dict)
    augmentation: str = "none"
    weight_decay: float | None = None

    @property
    def epochs(self) -> int:
        """Passes begun over the training examples; the last may be partial."""
        return -(-self.steps // self.steps_per_epoch)


def resolve_duration(
    duration: str | float, *, num_examples: int, steps_per_epoch: int, where: str
) -> int:
    """Steps of a duration such as '10 epochs', '500 steps' or '20000 examples'.

    Args:
        duration: A bare number means epochs.
        num_examples: In the training split.
        steps_per_epoch: Steps that see every example once.
        where: Path of the setting, for messages.

    Raises:
        ConfigError: It has another form, or comes to less than one step.
    """
    match = _DURATION.match(str(duration))
    if match is None:
        raise ConfigError(
            f"{where}: found {duration!r}. A duration is a number of epochs, steps or examples, "
            "for example '10 epochs', '500 steps', '20000 examples'."
        )
    amount, unit = float(match[1]), (match[2] or "epochs").rstrip("s")
    if unit == "step" and amount != int(amount):
        raise ConfigError(f"{where}: found {duration!r}. Steps are whole numbers.")
    per_unit = {"epoch": steps_per_epoch, "step": 1, "example": steps_per_epoch / num_examples}
    steps = round(amount * per_unit[unit])
    if steps < 1:
        raise ConfigError(f"{where}: {duration!r} comes to no step at all; train for one at least.")
    return steps
