"""The `training` section of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from kft.config.section import ClassName, Duration, Fraction, OfSteps, PositiveInt, Section

Weight = Annotated[float, Field(ge=0.0)]


class TrainingConfig(Section):
    """How a phase is fitted."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of initial weights, data order, augmentation and dropout."""
    global_batch_size: PositiveInt | Literal["auto"] = 32
    """Examples per step over all replicas; `auto` takes the fastest that fits into memory."""
    accumulation: OfSteps[PositiveInt] = 1
    """Parts in which each batch is computed before its one update: less memory, same update."""
    optimizer: OfSteps[Literal["adamw", "sgd", "adafactor", "lion", "lamb", "muon"]] = "adamw"
    """`sgd` has momentum 0.9 and Nesterov's correction."""
    schedule: OfSteps[
        Literal["cosine", "constant", "one_cycle", "slanted_triangular", "step", "plateau"]
    ] = "cosine"
    """Learning rate after the warmup."""
    warmup: OfSteps[Duration] = "10 percent"
    """Steps in which the rate rises linearly to its peak; percent are of the phase."""
    weight_decay: OfSteps[Annotated[float, Field(ge=0.0)]] = 0.05
    """Decoupled weight decay; biases and normalisation are spared."""
    l2_sp: OfSteps[Annotated[float, Field(ge=0.0)]] = 0.0
    """Decoupled decay toward the weights that a phase began with, in place of toward zero."""
    clip_norm: OfSteps[Annotated[float, Field(gt=0.0)] | None] = 1.0
    """Largest global norm of the gradients; null for no limit."""
    label_smoothing: Fraction = 0.0
    """Share of the target spread evenly over all classes."""
    focal_gamma: Annotated[float, Field(ge=0.0)] = 0.0
    """Focal loss: an example counts (1 - p)**gamma times, p being its true class's probability."""
    class_weights: Literal["none", "balanced"] | dict[ClassName, Weight] = "none"
    """Factor on the loss of a class; `balanced`: the inverse of its share."""
    sampling: Literal["natural", "balanced"] = "natural"
    """`balanced` draws each class equally often."""
    logit_adjustment: Annotated[float, Field(ge=0.0)] = 0.0
    """Temperature of the class prior added to the logits in the loss; 1 is the theory's."""
    mixup: OfSteps[Annotated[float, Field(ge=0.0)]] = 0.0
    """Alpha of mixup: pairs of examples are blended; 0 for none."""
    cutmix: OfSteps[Annotated[float, Field(ge=0.0)]] = 0.0
    """Alpha of cutmix: a rectangle comes from another picture; 0 for none."""
    ema: OfSteps[Annotated[float, Field(gt=0.0, lt=1.0)] | None] = None
    """Momentum of a moving average of the weights, which is what validation sees and is kept."""
    early_stopping: OfSteps[PositiveInt | None] = None
    """End a phase after so many epochs without a better validation loss; the best is restored."""
    soup: OfSteps[Literal[0] | Annotated[int, Field(ge=2, le=20)]] = 0
    """Average the best of so many checkpoints, if validation gains by it; 0 for none."""
    wise_ft: OfSteps[bool] = False
    """Try weights between the probe's and the fine-tuned ones; keep them if validation gains."""
    checkpoint_every: Annotated[str, Field(pattern=r"^(auto|never|[1-9]\d* (steps|seconds))$")] = (
        "auto"
    )
    """Within a phase, such as `100 steps` or `60 seconds`; `auto`: for 5 % of the time at most."""
    checkpoints_kept: PositiveInt = 2
    """How many of a phase are kept, apart from that of the best epoch and those between phases."""
    distribution: Literal["none", "mirrored", "multi_worker", "auto"] = "auto"
    """`mirrored`: over all devices of this machine; `multi_worker`: of all that TF_CONFIG names."""
    deterministic: bool = True
    """One seed gives the same weights to the last bit; ops that cannot are refused by name."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """Keras dtype policy; `auto` is what `kft benchmark` found for this machine, else float32."""
    jit_compile: bool | Literal["auto"] = "auto"
    """Compile steps with XLA; `auto` is what `kft benchmark` found for this machine, else not."""
    threads: PositiveInt | Literal["auto"] = "auto"
    """Of an operation; `auto` is one per core."""

    @property
    def batch_size(self) -> int:
        """The global batch size, once what was `auto` has become a number."""
        assert self.global_batch_size != "auto", "measured choices come before training"
        return int(self.global_batch_size)

    def contradictions(self) -> Iterator[str]:
        """What is wrong with these settings alone, each with its path.

        They are judged with the rest of the pipeline, once `auto` has become a number: so that all
        problems are told at once, and a search may vary settings that go together.
        """
        batch_size = self.global_batch_size
        if batch_size != "auto" and batch_size % self.accumulation:
            yield (
                f"training.accumulation: {self.accumulation} parts do not divide batches of "
                f"{batch_size}. Choose a divisor of `training.global_batch_size`."
            )
        if self.accumulation > 1 and self.jit_compile is True:
            yield (
                "training.jit_compile: XLA compiles steps of one size, and `training.accumulation` "
                "takes batches apart into parts of sizes that it cannot know. Use one of the two."
            )
        for name in ("mixup", "cutmix"):
            if getattr(self, name) and batch_size == 1:
                yield (
                    f"training.{name}: blends examples of one batch, and "
                    "`training.global_batch_size` is 1. Remove it, or use batches of 2 at least."
                )
        yield from self._repeated_corrections()

    def _repeated_corrections(self) -> Iterator[str]:
        corrections = {
            "training.class_weights": self.class_weights != "none",
            "training.sampling=balanced": self.sampling == "balanced",
            # Costs of one's own are no correction for how often a class comes.
            "training.logit_adjustment": self.logit_adjustment > 0
            and not isinstance(self.class_weights, dict),
        }
        given = [name for name, is_given in corrections.items() if is_given]
        if len(given) > 1:
            yield (
                f"{given[0]}: with {' and '.join(given[1:])}, rare classes would be corrected for "
                f"{len(given)} times over. Keep one of them."
            )
