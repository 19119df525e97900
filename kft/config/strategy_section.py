"""The `strategy` section of a pipeline."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from kft.config.section import (
    Duration,
    FolderName,
    Name,
    OfSteps,
    PositiveInt,
    Section,
    TimeSpan,
)


class LoraConfig(Section):
    """Low-rank adaptation."""

    rank: PositiveInt = 8
    """Rank of the factors: the inner dimension of their product."""
    alpha: Annotated[float, Field(gt=0.0)] = 16.0
    """Scale of the factors' product, which is multiplied by alpha / rank."""
    layers: str = ".*"
    """Regular expression for the names of adapted layers; `kft check` lists them."""


class PhaseConfig(Section):
    """One phase of an explicit strategy."""

    name: FolderName = "phase"
    """Name of the phase, and of its folder in the run."""
    trainable: Annotated[tuple[Name, ...], Field(min_length=1)] = ("head",)
    """Blocks to train: names that `kft backbones NAME` prints, `head`, `backbone` or `all`."""
    part: Literal["all", "bias_norm"] = "all"
    """Weights of these blocks that train: all, or only biases and normalisation (BitFit)."""
    lora: LoraConfig | None = None
    """Train low-rank factors of the backbone's kernels instead of the kernels."""
    method: Literal["fit", "solve"] = "fit"
    """`fit` trains by steps; `solve` computes the optimal linear head on stored features."""
    batch_norm: OfSteps[Literal["frozen", "trainable"]] = "frozen"
    """`frozen` keeps the pretrained batch statistics of trainable blocks."""
    learning_rate: OfSteps[Annotated[float, Field(gt=0.0)]] = 3e-4
    """Peak learning rate."""
    layer_decay: OfSteps[Annotated[float, Field(gt=0.0, le=1.0)]] = 1.0
    """Factor on the learning rate per trainable block toward the input."""
    multipliers: OfSteps[dict[Name, Annotated[float, Field(gt=0.0)]]] = Field(default_factory=dict)
    """Factor on the learning rate of each named block, in addition to `layer_decay`."""
    duration: OfSteps[Duration] = "10 epochs"
    """`10 epochs`, `500 steps`, `20000 examples`, `50 percent` of `strategy.duration`."""
    augmentation: str | None = None
    """Augmentation preset of this phase; by default the modality's: `data.image.augmentation`."""
    weight_decay: OfSteps[Annotated[float, Field(ge=0.0)] | None] = None
    """Decoupled weight decay; by default `training.weight_decay`."""


class StrategyConfig(Section):
    """The strategy: the blocks that train, in which order and how fast."""

    name: Literal[
        "auto",
        "linear_probe",
        "top_k",
        "full",
        "lp_ft",
        "gradual",
        "surgical",
        "lora",
        "bitfit",
        "phases",
    ] = "auto"
    """`auto` solves a probe and fine-tunes from it if that is better; the guide has the others."""
    phases: tuple[PhaseConfig, ...] = ()
    """Phases of `name: phases`, in order."""
    probe: Literal["auto", "solved", "trained"] = "auto"
    """Method of a linear probe; `auto` solves it, except for heads with hidden layers."""
    probe_layers: Literal["auto", "last", "all"] | tuple[Name, ...] = "auto"
    """Blocks whose outputs a solved probe reads; `auto` chooses their weights, `last` reads one."""
    probe_learning_rate: Annotated[float, Field(gt=0.0)] = 3e-3
    """Peak learning rate of a trained probe."""
    probe_duration: Duration = "60 epochs"
    """Length of a trained probe; epochs are cheap, because its features are computed once."""
    learning_rate: Annotated[float, Field(gt=0.0)] | None = None
    """Peak rate of fine-tuning; by default per strategy (`auto` chooses it)."""
    duration: Duration | None = None
    """Total length of fine-tuning; by default BiT's 500 to 20,000 steps, at most 12 epochs."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Factor on the learning rate per block toward the input; by default per strategy."""
    batch_norm: Literal["auto", "frozen", "trainable"] = "auto"
    """Batch statistics in fine-tuning; `auto` freezes the statistics of a pretrained backbone."""
    top_blocks: PositiveInt = 1
    """Number of the deepest blocks that `top_k` trains."""
    block: Name = "best"
    """Block that `surgical` trains; `best` tries each on validation."""
    lora: LoraConfig = LoraConfig()
    """Low-rank factors of `lora`."""
    freeze: Literal["auto"] | tuple[Name, ...] = "auto"
    """Blocks that stay frozen while `auto` fine-tunes; by default the lowest, `[]` for none."""
    refit: Literal["auto"] | bool = "auto"
    """Whether `auto` learns from validation too, if there is a holdout to judge the result."""
    budget: TimeSpan | None = None
    """Time for a run of `auto`, such as `10 minutes`; it then fine-tunes less, or not at all."""

    @model_validator(mode="after")
    def _phases_go_with_their_name(self) -> StrategyConfig:
        if self.name == "phases" and not self.phases:
            raise ValueError("name 'phases' needs at least one phase under `phases`")
        if self.name != "phases" and self.phases:
            raise ValueError(
                f"`phases` is given, but name is {self.name!r}; write `name: phases` to use them"
            )
        return self


LEARNING_RATES = {
    "top_k": 1e-3,
    "full": 3e-4,
    "lp_ft": 3e-4,
    "gradual": 3e-4,
    "surgical": 1e-3,
    "lora": 1e-3,
    "bitfit": 1e-2,
}
"""Default peak learning rate of each strategy."""

AUTO_LEARNING_RATES = (1e-3, 3e-4, 1e-4)
"""Learning rates that the strategy `auto` tries, in this order."""
