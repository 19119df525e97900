"""The value that this room hands on: a `Phase`, what trains, how, and what is chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from kft.config import FeaturesConfig, LoraConfig
from kft.examples import SplitName


@dataclass(frozen=True)
class Scope:
    """What a phase may change.

    Attributes:
        trainable: Blocks that train, shallow to deep.
        part: 'all' weights of the trainable blocks, or 'bias_norm': biases
            and normalisation alone.
        lora: Low-rank factors train in place of the backbone's kernels.
        batch_norm: 'trainable' lets batch statistics of trainable blocks move;
            'frozen' keeps them.
    """

    trainable: tuple[str, ...]
    part: Literal["all", "bias_norm"] = "all"
    lora: LoraConfig | None = None
    batch_norm: str = "frozen"


@dataclass(frozen=True)
class Fit:
    """Gradient steps.

    Attributes:
        learning_rate: Peak rate of a block with multiplier 1.
        steps: Optimizer steps.
        steps_per_epoch: Steps that see every example once that is learnt from.
        multipliers: Factor on the rate of a block, layer-wise decay
            included; 1 where absent.
        augmentation: Preset for the training pictures.
        weight_decay: Decoupled; None for the pipeline's own.
        mixup: Alpha of mixup; None for the pipeline's own.
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
        """Passes begun over its examples; the last may be partial."""
        return -(-self.steps // self.steps_per_epoch)

    def has_step_of(self, other: Fit) -> bool:
        """Whether one traced training step serves both: rate and length are variables of it."""
        own = {"learning_rate", "steps", "steps_per_epoch"}
        return replace(other, **{name: getattr(self, name) for name in own}) == self


@dataclass(frozen=True)
class Solve:
    """The optimum of a linear head, found on features of pictures as they are."""

    augmentation: ClassVar[str] = "none"


@dataclass(frozen=True)
class Choice:
    """What a phase decides on validation.

    Attributes:
        candidates: Variants of the phase; each is tried for `pilot_steps`
            from where the phase begins. The phase goes on as the best of them.
        pilot_steps: Steps of a candidate's trial.
        is_sequential: Go on with the first candidate that is not worse, beyond
            chance, than the weights the phase began with; try none after it.
        must_beat_start: Keep the weights the phase began with, unless it is
            better than they are beyond the confidence interval.
        only_compares: Keep them in any case: the phase only finds out whether
            it is better, and ends as soon as a candidate's trial shows it.
    """

    candidates: tuple[Phase, ...] = ()
    pilot_steps: int = 0
    is_sequential: bool = False
    must_beat_start: bool = False
    only_compares: bool = False


@dataclass(frozen=True)
class Phase:
    """One `model.fit`, or one solution.

    Attributes:
        name: Also the name of its folder in the run.
        scope: What may change.
        recipe: How it changes: by steps, or to the optimum at once.
        learns_from: Splits whose examples it learns from.
        choice: What is decided on validation; by default nothing.
        fallback: What takes the place of this phase where the one before it
            was not better than its start; where it was, this one goes by the
            rate that was chosen there. None for a phase that depends on none.
    """

    name: str
    scope: Scope
    recipe: Fit | Solve
    learns_from: tuple[SplitName, ...] = ("train",)
    choice: Choice = Choice()
    fallback: Phase | None = None

    @property
    def method(self) -> Literal["fit", "solve"]:
        """The kind of its recipe."""
        return "solve" if isinstance(self.recipe, Solve) else "fit"

    @property
    def fit(self) -> Fit:
        """The recipe of a phase that is fitted."""
        assert isinstance(self.recipe, Fit), f"phase {self.name!r} is solved"
        return self.recipe

    def at_rate(self, learning_rate: float) -> Phase:
        """The same with another peak rate."""
        return replace(self, recipe=replace(self.fit, learning_rate=learning_rate))

    def count_views(self, features: FeaturesConfig) -> int:
        """How often it has each training example stored, where its features are."""
        return 1 if self.recipe.augmentation == "none" else features.views

    def repeats_inputs(self, features: FeaturesConfig) -> bool:
        """Whether it sees a picture twice in the same form, so that storing its features pays."""
        return self.recipe.augmentation == "none" or 0 < features.views < self.fit.epochs
