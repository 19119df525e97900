"""Phases of training: the result of planning a strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from kft.config import FeaturesConfig, LoraConfig
from kft.examples import SplitName

COMPUTED_FROM_INPUTS = "inputs"
"""Start of a phase that stores no activations; any other start is the name of a cut."""


@dataclass(frozen=True)
class Scope:
    """Weights that a phase may change.

    Attributes:
        trainable: Blocks that train, shallow to deep.
        part: 'all' weights of the trainable blocks, or 'bias_norm' for biases
            and normalisation only.
        lora: Settings of low-rank factors that train instead of the
            backbone's kernels.
        batch_norm: 'trainable' updates the batch statistics of trainable
            blocks; 'frozen' keeps them.
    """

    trainable: tuple[str, ...]
    part: Literal["all", "bias_norm"] = "all"
    lora: LoraConfig | None = None
    batch_norm: str = "frozen"


@dataclass(frozen=True)
class Fit:
    """Recipe of gradient steps.

    Attributes:
        learning_rate: Peak rate of a block with multiplier 1.
        steps: Optimizer steps.
        steps_per_epoch: Steps that see every training example once.
        multipliers: Block -> factor on its rate, layer-wise decay included;
            1 if absent.
        augmentation: Augmentation preset for the training examples.
        weight_decay: Decoupled weight decay; None for the pipeline's value.
        mixup: Alpha of mixup; None for the pipeline's value.
    """

    learning_rate: float
    steps: int
    steps_per_epoch: int
    multipliers: Mapping[str, float] = field(default_factory=dict)
    augmentation: str = "none"
    weight_decay: float | None = None
    mixup: float | None = None

    @property
    def epochs(self) -> int:
        """Number of passes over the examples; the last may be partial."""
        return -(-self.steps // self.steps_per_epoch)

    def has_step_of(self, other: Fit) -> bool:
        """Tell whether both share one traced training step, where rate and length are variables."""
        own = {"learning_rate", "steps", "steps_per_epoch"}
        return replace(other, **{name: getattr(self, name) for name in own}) == self


@dataclass(frozen=True)
class Solve:
    """Recipe of a linear head's optimum, found on features of unaugmented examples."""

    augmentation: ClassVar[str] = "none"


@dataclass(frozen=True)
class Choice:
    """Decisions that a phase makes on validation.

    Attributes:
        candidates: Variants of the phase; each is trained for `pilot_steps`
            from the start weights. The phase continues as the best of them.
        pilot_steps: Number of steps for which each candidate is tried.
        is_sequential: Continue with the first candidate of which a blend with
            the start weights has a lower loss than these, and skip the rest.
        blends: End with the blend of start and trained weights that has the
            lowest loss on validation; the start itself is among them.
    """

    candidates: tuple[Phase, ...] = ()
    pilot_steps: int = 0
    is_sequential: bool = False
    blends: bool = False


@dataclass(frozen=True)
class Folds:
    """Decisions of a phase on folds of the examples that it learns from.

    Whatever leaves out a fold starts from a probe that was solved without it. First, a short run
    that leaves out one fold is judged by it, for each learning rate until a blend with the probe
    is better than the probe; if none is, the phase is skipped. Then the phase itself leaves out
    another fold until most of its steps are taken. That fold decides the share of the trained
    weights in the result; with a share of 0 the phase ends and its start is restored, otherwise
    it takes its last steps on all examples.

    Attributes:
        rates: Learning rates, in the order in which they are tried.
        steps: Number of steps of a short run.
        judged_after: Number of steps after which the phase is judged and learns from all examples.
        count: Number of folds.
        budget_seconds: Time for the whole run, from which it follows which runs and steps are
            left out; None for no limit.
    """

    rates: tuple[float, ...]
    steps: int
    judged_after: int
    count: int
    budget_seconds: float | None = None


@dataclass(frozen=True)
class Phase:
    """One `model.fit`, or one solution of the head.

    Attributes:
        name: Name of the phase and of its folder in the run.
        scope: Weights that may change.
        recipe: Gradient steps, or the solution of the head.
        learns_from: Splits whose examples the phase trains on.
        choice: Decisions made on validation; by default none.
        folds: Decisions made on folds; None for none. The phase before is a solved
            probe on the same examples.
    """

    name: str
    scope: Scope
    recipe: Fit | Solve
    learns_from: tuple[SplitName, ...] = ("train",)
    choice: Choice = Choice()
    folds: Folds | None = None

    @property
    def method(self) -> Literal["fit", "solve"]:
        """Kind of the recipe."""
        return "solve" if isinstance(self.recipe, Solve) else "fit"

    @property
    def decides_on_validation(self) -> bool:
        """Whether validation chooses among candidates or blends."""
        return bool(self.choice.candidates) or self.choice.blends

    @property
    def fit(self) -> Fit:
        """Recipe of a fitted phase."""
        assert isinstance(self.recipe, Fit), f"phase {self.name!r} is solved"
        return self.recipe

    @property
    def movable(self) -> set[str]:
        """Names of the blocks that the phase, or a candidate of it, may move."""
        phases = (self, *self.choice.candidates)
        return {name for phase in phases for name in phase.scope.trainable}

    def at_rate(self, learning_rate: float) -> Phase:
        """Copy the phase with another peak learning rate."""
        return replace(self, recipe=replace(self.fit, learning_rate=learning_rate))

    def shortened(self, steps: int) -> Phase:
        """Copy the phase with fewer steps, judged after the same share of them."""
        if steps == self.fit.steps:
            return self
        folds = self.folds
        if folds is not None:
            judged_after = max(1, folds.judged_after * steps // self.fit.steps)
            folds = replace(folds, judged_after=judged_after)
        return replace(self, recipe=replace(self.fit, steps=steps), folds=folds)

    def count_views(self, features: FeaturesConfig) -> int:
        """Number of stored views of each training example, if its features are stored."""
        return 1 if self.recipe.augmentation == "none" else features.views

    def repeats_inputs(self, features: FeaturesConfig) -> bool:
        """Tell whether an input repeats unchanged, so that storing its features saves time."""
        return self.recipe.augmentation == "none" or 0 < features.views < self.fit.epochs
