"""The `training` section of a pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from kft.config.section import ClassName, Duration, Fraction, OfSteps, PositiveInt, Section

Weight = Annotated[float, Field(ge=0.0)]


class TrainingConfig(Section):
    """The training of phases."""

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Seed of initial weights, data order, augmentation and dropout."""
    global_batch_size: PositiveInt | Literal["auto"] = 32
    """Examples per step over all replicas; `auto` is the fastest size that fits into memory."""
    accumulation: OfSteps[PositiveInt] = 1
    """Number of parts in which each batch is computed, for less memory and the same update."""
    optimizer: OfSteps[Literal["adamw", "sgd", "adafactor", "lion", "lamb", "muon"]] = "adamw"
    """Optimizer; `sgd` has momentum 0.9 and Nesterov's correction."""
    schedule: OfSteps[
        Literal["cosine", "constant", "one_cycle", "slanted_triangular", "step", "plateau"]
    ] = "cosine"
    """Course of the learning rate after the warmup."""
    warmup: OfSteps[Duration] = "10 percent"
    """Length of the linear rise to the peak learning rate; percentages refer to the phase."""
    weight_decay: OfSteps[Annotated[float, Field(ge=0.0)]] = 0.05
    """Decoupled weight decay; biases and normalisation are exempt."""
    l2_sp: OfSteps[Annotated[float, Field(ge=0.0)]] = 0.0
    """Decoupled decay toward a phase's initial weights, instead of toward zero (L2-SP)."""
    clip_norm: OfSteps[Annotated[float, Field(gt=0.0)] | None] = 1.0
    """Maximum global norm of the gradients; null for no limit."""
    label_smoothing: Fraction = 0.0
    """Share of the target probability to spread evenly over all classes."""
    focal_gamma: Annotated[float, Field(ge=0.0)] = 0.0
    """Gamma of the focal loss, whose weight is (1 - p)**gamma for a true class's probability p."""
    region_loss: Literal["none", "dice", "lovasz"] = "none"
    """Loss of whole regions of masks that is added to the cross-entropy of their pixels."""
    class_weights: Literal["none", "balanced"] | dict[ClassName, Weight] = "none"
    """Factor on the loss of each class; `balanced` is the inverse of its share."""
    sampling: Literal["natural", "balanced"] = "natural"
    """Sampling of training examples; `balanced` draws each class equally often."""
    logit_adjustment: Annotated[float, Field(ge=0.0)] = 0.0
    """Temperature of the class prior added to logits in the loss; theory suggests 1."""
    mixup: OfSteps[Annotated[float, Field(ge=0.0)]] = 0.0
    """Alpha of mixup, which blends pairs of examples; 0 for none."""
    cutmix: OfSteps[Annotated[float, Field(ge=0.0)]] = 0.0
    """Alpha of cutmix, which replaces a rectangle by one of another picture; 0 for none."""
    ema: OfSteps[Annotated[float, Field(gt=0.0, lt=1.0)] | None] = None
    """Momentum of a moving average of the weights, which is validated and kept; null for none."""
    early_stopping: OfSteps[PositiveInt | None] = None
    """Epochs without a better validation loss after which a phase ends with its best weights."""
    soup: OfSteps[Literal[0] | Annotated[int, Field(ge=2, le=20)]] = 0
    """Number of checkpoints for a soup, which is kept if validation improves; 0 for none."""
    wise_ft: OfSteps[bool] = False
    """Try weights between the probe's and the fine-tuned; keep them if validation improves."""
    checkpoint_every: Annotated[str, Field(pattern=r"^(auto|never|[1-9]\d* (steps|seconds))$")] = (
        "auto"
    )
    """Interval of checkpoints, such as `100 steps` or `60 seconds`; `auto`: at most 5 % of time."""
    checkpoints_kept: PositiveInt = 2
    """Checkpoints kept within a phase, besides the best epoch's and those between phases."""
    trackers: tuple[Literal["mlflow", "wandb"], ...] = ()
    """Trackers that record the run too, beside TensorBoard's files: `mlflow`, `wandb`."""
    distribution: Literal["none", "mirrored", "multi_worker", "auto"] = "auto"
    """Devices: `mirrored`: all of this machine; `multi_worker`: all of TF_CONFIG's machines."""
    deterministic: bool = True
    """Train bit-identical weights from one seed; nondeterministic ops are refused by name."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """Keras dtype policy; `auto`: result of `kft benchmark` on this machine, else float32."""
    jit_compile: bool | Literal["auto"] = "auto"
    """Compile steps with XLA; `auto`: result of `kft benchmark` on this machine, else false."""
    threads: PositiveInt | Literal["auto"] = "auto"
    """Number of threads per operation; `auto` is one per core."""

    @property
    def batch_size(self) -> int:
        """Global batch size, after `auto` was replaced by a number."""
        assert self.global_batch_size != "auto", "`auto` must be resolved before training"
        return int(self.global_batch_size)

    def contradictions(self) -> Iterator[str]:
        """Find contradictions within this section, each with its path.

        They are checked with the rest of the pipeline, after `auto` was replaced by a number, so
        that all problems are listed at once and a search may vary settings that depend on each
        other.
        """
        batch_size = self.global_batch_size
        if batch_size != "auto" and batch_size % self.accumulation:
            yield (
                f"training.accumulation: {self.accumulation} parts do not divide batches of "
                f"{batch_size}. Choose a divisor of `training.global_batch_size`."
            )
        if self.accumulation > 1 and self.jit_compile is True:
            yield (
                "training.jit_compile: XLA needs steps of a fixed size, but "
                "`training.accumulation` splits batches into parts of unknown sizes. Use one of "
                "the two."
            )
        for name in ("mixup", "cutmix"):
            if getattr(self, name) and batch_size == 1:
                yield (
                    f"training.{name}: it mixes examples of one batch, but "
                    "`training.global_batch_size` is 1. Remove it, or use batches of at least 2."
                )
        yield from self._repeated_corrections()

    def _repeated_corrections(self) -> Iterator[str]:
        corrections = {
            "training.class_weights": self.class_weights != "none",
            "training.sampling=balanced": self.sampling == "balanced",
            # Class weights given by the user need not be a correction for rare classes.
            "training.logit_adjustment": self.logit_adjustment > 0
            and not isinstance(self.class_weights, dict),
        }
        given = [name for name, is_given in corrections.items() if is_given]
        if len(given) > 1:
            yield (
                f"{given[0]}: with {' and '.join(given[1:])}, rare classes would be corrected "
                f"{len(given)} times. Keep one of them."
            )
