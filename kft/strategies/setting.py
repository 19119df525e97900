"""Input of a strategy, with the calculations that strategies share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kft.config import LEARNING_RATES, HeadConfig, StrategyConfig, TrainingConfig
from kft.errors import ConfigError
from kft.examples import SplitName
from kft.strategies.durations import resolve_duration
from kft.strategies.layerwise import decayed
from kft.strategies.phases import Fit, Phase, Scope
from kft.strategies.selection import resolve_blocks
from kft.strategies.traits import BlockTraits
from kft.tasks import Task

# BiT-HyperRule: limit on the number of examples -> steps.
# Source: Kolesnikov et al., Big Transfer, arXiv:1912.11370.
BIT_STEPS = ((20_000, 500), (500_000, 10_000), (None, 20_000))
# BiT's steps have 512 examples. With that batch size, small data sets would be seen over a hundred
# times, and large ones would take days on the machines that kft is for. Steps of 32 examples, kft's
# default batch size, avoid both.
STEP_EXAMPLES = 32
# Fewer epochs train too little, and more improve too little for their time.
LEAST_EPOCHS, MOST_EPOCHS = 5, 12
# Settings of `strategy` that `Setting.phase` reads.
FINE_TUNING = ("learning_rate", "duration", "layer_decay", "batch_norm")
# Conditions for a solution, for messages.
SOLVABLE = (
    "needs a head of a single layer (no `head.hidden`, no `head.dropout`) and a loss with one "
    "optimum (no `training.focal_gamma`, no `training.class_weights` of labels)."
)
# Stand-in for numbers of examples before the data is read, so large that no duration, with batches
# of one example, comes to less than one step.
MANY = 10**6


@dataclass(frozen=True)
class Setting:
    """Input of a strategy; the sizes of the data are stand-ins until it is read.

    Attributes:
        config: The pipeline's `strategy` section.
        backbone: Name of the backbone, for messages.
        block_names: Names of the block table, shallow to deep; the head is last.
        augmentation: Preset for phases that compute the backbone in every step.
        is_pretrained: Whether the backbone's weights, and thus its batch
            statistics, are pretrained.
        has_linear_head: Whether the head is a single Dense layer and its loss
            has an optimum that can be solved for.
        traits: Traits of the backbone's blocks.
        num_examples: Number of examples for training.
        steps_per_epoch: Steps that see every training example once.
        num_validation: Number of validation examples to choose on.
        may_mix: Whether targets can be mixed and the pipeline sets no mixing
            itself.
        may_fold: Whether short runs in folds can decide: each example is one row of the
            linear problem.
        learns_from: Splits whose examples are for training; with validation among them, none are
            left to choose on.
    """

    config: StrategyConfig
    backbone: str
    block_names: tuple[str, ...]
    augmentation: str
    is_pretrained: bool
    has_linear_head: bool
    traits: tuple[BlockTraits, ...]
    num_examples: int = MANY
    steps_per_epoch: int = MANY
    num_validation: int = MANY
    may_mix: bool = False
    may_fold: bool = True
    learns_from: tuple[SplitName, ...] = ("train",)

    @property
    def head(self) -> str:
        """Name of the head's block."""
        return self.block_names[-1]

    @property
    def backbone_blocks(self) -> tuple[str, ...]:
        """Names of the backbone's blocks, shallow to deep."""
        return self.block_names[:-1]

    def steps(self, duration: str | float, where: str, *, percent_of: int | None = None) -> int:
        """Resolve a duration to steps."""
        return resolve_duration(
            duration,
            num_examples=self.num_examples,
            steps_per_epoch=self.steps_per_epoch,
            where=where,
            percent_of=percent_of,
        )

    def budget(self) -> int:
        """Resolve the total steps of fine-tuning: as configured, or by the number of examples.

        The number of examples seen does not depend on the batch size.

        Source: BiT-HyperRule, arXiv:1912.11370, here with steps of 32 examples, and with at least
        5 and at most 12 epochs.
        """
        if self.config.duration is not None:
            return self.steps(self.config.duration, "strategy.duration")
        count = self.num_examples
        steps = next(steps for limit, steps in BIT_STEPS if limit is None or count < limit)
        seen = min(max(steps * STEP_EXAMPLES, LEAST_EPOCHS * count), MOST_EPOCHS * count)
        return -(-seen * self.steps_per_epoch // count)

    def learning_rate(self, strategy: str) -> float:
        """Return the learning rate: as configured, or the strategy's default."""
        return self.config.learning_rate or LEARNING_RATES[strategy]

    def batch_norm(self) -> str:
        """Return the mode of batch normalisation: as configured, or frozen if pretrained."""
        if self.config.batch_norm != "auto":
            return self.config.batch_norm
        return "frozen" if self.is_pretrained else "trainable"

    def blocks(self, names: tuple[str, ...], where: str) -> tuple[str, ...]:
        """Resolve block names that a user wrote."""
        return resolve_blocks(names, self.block_names, where=where, backbone=self.backbone)

    def scope(self, blocks: tuple[str, ...]) -> Scope:
        """Make a scope of these backbone blocks and the head, with all their weights."""
        return Scope((*blocks, self.head), batch_norm=self.batch_norm())

    def phase(self, name: str, scope: Scope, strategy: str, *, steps: int | None = None) -> Phase:
        """Make a phase of fine-tuning.

        Args:
            name: Name of the phase.
            scope: Blocks of the backbone, and the head.
            strategy: Strategy whose default learning rate applies unless one is configured.
            steps: Number of steps; by default the whole budget.
        """
        decay = 1.0 if self.config.layer_decay is None else self.config.layer_decay
        fit = Fit(
            learning_rate=self.learning_rate(strategy),
            steps=self.budget() if steps is None else steps,
            steps_per_epoch=self.steps_per_epoch,
            multipliers=decayed(scope.trainable[:-1], decay),
            augmentation=self.augmentation,
        )
        return Phase(name, scope, fit, self.learns_from)

    def pilot_steps(self, steps: int) -> int:
        """Return the length of a trial: a quarter of the phase, so three epochs of twelve."""
        return max(1, steps // 4)

    def must_choose(self, where: str) -> None:
        """Require validation examples for a choice among candidates.

        Raises:
            ConfigError: There are no validation examples to choose on.
        """
        if not self.num_validation:
            raise ConfigError(
                f"{where}: the choice is made on validation, but there are no validation examples. "
                "Set `data.validation` above 0, or set a fixed value."
            )


def is_solvable(head: HeadConfig, training: TrainingConfig, tasks: Iterable[Task]) -> bool:
    """Tell whether a head's objective has an optimum that can be solved for.

    Args:
        head: The pipeline's `head` section.
        training: The pipeline's `training` section.
        tasks: The task of the data, or every possible task before the data is read.

    Returns:
        True if it can be solved for in at least one of the tasks.
    """
    return any(task.is_solvable(head, training) for task in tasks)
