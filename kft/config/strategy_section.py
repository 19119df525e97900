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
)


class LoraConfig(Section):
    """Low-rank adaptation."""

    rank: PositiveInt = 8
    """Inner dimension of the two factors."""
    alpha: Annotated[float, Field(gt=0.0)] = 16.0
    """The product of the factors counts alpha / rank times."""
    layers: str = ".*"
    """Regular expression for the names of the layers that get one; those of `kft check`."""


class PhaseConfig(Section):
    """One phase of an explicit strategy."""

    name: FolderName = "phase"
    """Name of the phase in the run."""
    trainable: Annotated[tuple[Name, ...], Field(min_length=1)] = ("head",)
    """Blocks that train: names as `kft backbones NAME` prints them, `head`, `backbone` or `all`."""
    part: Literal["all", "bias_norm"] = "all"
    """Which weights of these blocks: all, or biases and normalisation alone (BitFit)."""
    lora: LoraConfig | None = None
    """Train low-rank factors of the backbone's kernels in place of the kernels."""
    method: Literal["fit", "solve"] = "fit"
    """`solve` finds the optimum of a linear head on the stored features, without steps."""
    batch_norm: OfSteps[Literal["frozen", "trainable"]] = "frozen"
    """Whether the batch statistics of trainable blocks keep their pretrained values."""
    learning_rate: OfSteps[Annotated[float, Field(gt=0.0)]] = 3e-4
    """Peak learning rate."""
    layer_decay: OfSteps[Annotated[float, Field(gt=0.0, le=1.0)]] = 1.0
    """Factor on the rate from one trainable block to the next one toward the input."""
    multipliers: OfSteps[dict[Name, Annotated[float, Field(gt=0.0)]]] = Field(default_factory=dict)
    """Factor on the learning rate of a block, beside `layer_decay`."""
    duration: OfSteps[Duration] = "10 epochs"
    """`10 epochs`, `500 steps`, `20000 examples`, `50 percent` of `strategy.duration`."""
    augmentation: str | None = None
    """Preset of this phase; by default that of the modality, such as `data.image.augmentation`."""
    weight_decay: OfSteps[Annotated[float, Field(ge=0.0)] | None] = None
    """Decoupled weight decay; by default that of `training.weight_decay`."""


class StrategyConfig(Section):
    """Which blocks train, when, and how fast."""

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
    """`auto`: a solved probe, then fine-tuning from it if that is better. Others: the guide."""
    phases: tuple[PhaseConfig, ...] = ()
    """The phases of `name: phases`, in order."""
    probe: Literal["auto", "solved", "trained"] = "auto"
    """How a linear probe is found; `auto` solves it, but for heads with hidden layers."""
    probe_learning_rate: Annotated[float, Field(gt=0.0)] = 3e-3
    """Peak learning rate of a trained probe."""
    probe_duration: Duration = "60 epochs"
    """Length of a trained probe; its backbone is computed once, so epochs cost little."""
    learning_rate: Annotated[float, Field(gt=0.0)] | None = None
    """Peak rate of fine-tuning; by default the strategy's own (`auto` finds it on validation)."""
    duration: Duration | None = None
    """Length of fine-tuning in all; by default BiT's steps, 500 to 20,000, at most 12 epochs."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Factor on the rate from a block to the next one toward the input; by default by strategy."""
    batch_norm: Literal["auto", "frozen", "trainable"] = "auto"
    """Batch statistics in fine-tuning; `auto` freezes those of a pretrained backbone."""
    top_blocks: PositiveInt = 1
    """How many of the deepest blocks `top_k` trains."""
    block: Name = "best"
    """The block that `surgical` trains; `best` tries each on validation."""
    lora: LoraConfig = LoraConfig()
    """The factors of `lora`."""
    freeze: Literal["auto"] | tuple[Name, ...] = "auto"
    """Blocks that rest while `auto` fine-tunes; by default the lowest ones, `[]` for none."""
    refit: Literal["auto"] | bool = "auto"
    """Whether what `auto` chose on validation learns from train and validation in the end."""

    @model_validator(mode="after")
    def _phases_go_with_their_name(self) -> StrategyConfig:
        if self.name == "phases" and not self.phases:
            raise ValueError("name 'phases' needs at least one entry under `phases`")
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
"""Peak rate of each strategy where none is given."""

AUTO_LEARNING_RATES = (1e-3, 3e-4, 1e-4)
"""What `strategy: auto` tries on validation, in this order."""
