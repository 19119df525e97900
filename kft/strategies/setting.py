"""What a strategy may look at, and what strategies have in common."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kft.config import LEARNING_RATES, HeadConfig, StrategyConfig, TrainingConfig
from kft.errors import ConfigError
from kft.strategies.durations import resolve_duration
from kft.strategies.layerwise import decayed
from kft.strategies.phases import Fit, Phase, Scope
from kft.strategies.selection import resolve_blocks
from kft.strategies.traits import BlockTraits
from kft.tasks import Task

# BiT-HyperRule: fewer examples than this -> so many steps.
# Source: Kolesnikov et al., Big Transfer, arXiv:1912.11370.
BIT_STEPS = ((20_000, 500), (500_000, 10_000), (None, 20_000))
# BiT counts batches of 512. Of so many examples the steps would be over a hundred passes over small
# sets, and days for large ones on the machines that kft is for: a step stands for kft's batch.
STEP_EXAMPLES = 32
# Fewer passes teach little, and more nothing that is worth their time.
LEAST_EPOCHS, MOST_EPOCHS = 5, 12
# Settings of `strategy` that `Setting.phase` reads.
FINE_TUNING = ("learning_rate", "duration", "layer_decay", "batch_norm")
# What can be solved for, for messages.
SOLVABLE = (
    "needs a head that is one layer alone (no `head.hidden`, no `head.dropout`) and a loss with "
    "one optimum (no `training.focal_gamma`, no `training.class_weights` of labels)."
)
# Before the data is read: so many examples in batches of one, that no duration comes to nothing.
MANY = 10**6


@dataclass(frozen=True)
class Setting:
    """What a strategy may look at; sizes of the data are stand-ins until it is read.

    Attributes:
        config: The pipeline's `strategy` section.
        backbone: Its name, for messages.
        block_names: Of the block table, shallow to deep; the head is last.
        augmentation: Preset for phases that compute the backbone anew.
        is_pretrained: Whether the backbone's batch statistics are worth keeping.
        has_linear_head: The head is one Dense layer alone, and its loss has an
            optimum that can be solved for.
        traits: Of the backbone's blocks.
        num_examples: In the training split.
        steps_per_epoch: Steps that see every training example once.
        num_validation: Examples that a choice can be made on.
        may_mix: Targets can be blended, and the pipeline names no mixing of
            its own.
        refit: The same with the validation examples to learn from too; None
            where nothing is to learn from them.
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
    refit: Setting | None = None

    @property
    def head(self) -> str:
        """Name of the head's block."""
        return self.block_names[-1]

    @property
    def backbone_blocks(self) -> tuple[str, ...]:
        """Names of the backbone's blocks, shallow to deep."""
        return self.block_names[:-1]

    def steps(self, duration: str | float, where: str, *, percent_of: int | None = None) -> int:
        """A duration in steps."""
        return resolve_duration(
            duration,
            num_examples=self.num_examples,
            steps_per_epoch=self.steps_per_epoch,
            where=where,
            percent_of=percent_of,
        )

    def budget(self) -> int:
        """Steps of fine-tuning in all: as configured, or by the number of examples.

        Whatever the batch size, as many examples are seen.

        Source: BiT-HyperRule, arXiv:1912.11370, here with steps of 32 examples, and for 5 epochs
        at least and 12 at most.
        """
        if self.config.duration is not None:
            return self.steps(self.config.duration, "strategy.duration")
        count = self.num_examples
        steps = next(steps for limit, steps in BIT_STEPS if limit is None or count < limit)
        seen = min(max(steps * STEP_EXAMPLES, LEAST_EPOCHS * count), MOST_EPOCHS * count)
        return -(-seen * self.steps_per_epoch // count)

    def learning_rate(self, strategy: str) -> float:
        """As configured, or the strategy's own."""
        return self.config.learning_rate or LEARNING_RATES[strategy]

    def batch_norm(self) -> str:
        """As configured, or by whether the backbone's statistics are worth keeping."""
        if self.config.batch_norm != "auto":
            return self.config.batch_norm
        return "frozen" if self.is_pretrained else "trainable"

    def blocks(self, names: tuple[str, ...], where: str) -> tuple[str, ...]:
        """Block names as a user wrote them, spelt out."""
        return resolve_blocks(names, self.block_names, where=where, backbone=self.backbone)

    def scope(self, blocks: tuple[str, ...]) -> Scope:
        """These backbone blocks and the head, in whole."""
        return Scope((*blocks, self.head), batch_norm=self.batch_norm())

    def phase(self, name: str, scope: Scope, strategy: str, *, steps: int | None = None) -> Phase:
        """A phase of fine-tuning.

        Args:
            name: Of the phase.
            scope: Blocks of the backbone, and the head.
            strategy: Whose learning rate it has, unless one is configured.
            steps: How many; by default the whole budget.
        """
        decay = 1.0 if self.config.layer_decay is None else self.config.layer_decay
        fit = Fit(
            learning_rate=self.learning_rate(strategy),
            steps=self.budget() if steps is None else steps,
            steps_per_epoch=self.steps_per_epoch,
            multipliers=decayed(scope.trainable[:-1], decay),
            augmentation=self.augmentation,
        )
        return Phase(name, scope, fit)

    def pilot_steps(self, steps: int) -> int:
        """A quarter of the phase, which is three epochs where it has twelve."""
        return max(1, steps // 4)

    def must_choose(self, where: str) -> None:
        """For a choice among candidates.

        Raises:
            ConfigError: There are no validation examples to choose on.
        """
        if not self.num_validation:
            raise ConfigError(
                f"{where}: the choice is made on validation, and there are no validation examples. "
                "Set `data.validation` above 0, or name what is to be taken."
            )


def is_solvable(head: HeadConfig, training: TrainingConfig, tasks: Iterable[Task]) -> bool:
    """Whether a head's objective has an optimum that can be solved for, in one of the tasks.

    Args:
        head: The pipeline's `head` section.
        training: Its `training` section.
        tasks: The task of the data, or all that it may be before the data is read.
    """
    is_one_layer = not head.hidden and not head.dropout
    return is_one_layer and any(task.is_solvable(training) for task in tasks)
