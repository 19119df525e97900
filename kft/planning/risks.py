"""What is likely to go wrong, said before training."""

from __future__ import annotations

import numpy as np

from kft.backbones.record import Backbone
from kft.examples import Splits
from kft.strategies import Phase

# Below this many pictures of a class, an accuracy of that class is hardly a number.
FEW_EXAMPLES = 10
# Where the largest class is this many times the smallest, accuracy alone misleads.
IMBALANCE = 5.0
# Below this many holdout examples the 95 % interval is wider than 20 points.
SMALL_HOLDOUT = 100
# With fewer validation examples a gain of ten points is no more than chance.
SMALL_VALIDATION = 50


def find_risks(splits: Splits, backbone: Backbone, phases: tuple[Phase, ...]) -> list[str]:
    """Sentences, each a risk and what lowers it; empty where none is seen.

    Args:
        splits: The examples.
        backbone: What they are fitted with.
        phases: How.
    """
    risks = []
    if splits.task.has_classes:
        risks.extend(_class_risks(splits))
    if len(splits.holdout) == 0:
        risks.append("There is no holdout: the figures will be those that choices were made on.")
    elif len(splits.holdout) < SMALL_HOLDOUT:
        risks.append(
            f"The holdout has {len(splits.holdout)} examples: two models must differ by many "
            "points before the difference means anything."
        )
    risks.extend(_choice_risks(splits, phases))
    if backbone.sha256 is None and len(splits.train) < 10_000:
        risks.append(
            f"The backbone starts from random weights and sees {len(splits.train)} examples: "
            "expect it to stay well below a pretrained one."
        )
    elif any(map(_is_deep, phases)) and len(splits.train) < 50 * max(1, len(splits.class_names)):
        risks.append(
            f"Overfitting: {len(splits.train)} training examples for a backbone whose weights "
            "train. Compare with `strategy.name=linear_probe`."
        )
    return risks


def _is_deep(phase: Phase) -> bool:
    """Whether all weights of blocks train, and are kept whatever validation says of them."""
    has_all = phase.part == "all" and phase.lora is None
    is_proven = phase.must_beat_start or phase.otherwise is not None
    return len(phase.trainable) > 1 and has_all and not is_proven


def _choice_risks(splits: Splits, phases: tuple[Phase, ...]) -> list[str]:
    chooses = any(phase.candidates or phase.must_beat_start for phase in phases)
    if not chooses or len(splits.validation) >= SMALL_VALIDATION:
        return []
    return [
        f"Choices are made on {len(splits.validation)} validation examples: only a large gain "
        "shows on so few. Raise `data.validation`, or add examples."
    ]


def _class_risks(splits: Splits) -> list[str]:
    counts = np.bincount(splits.train.targets, minlength=len(splits.class_names))
    risks = []
    few = [splits.class_names[i] for i in np.flatnonzero(counts < FEW_EXAMPLES)]
    if few:
        risks.append(
            f"Fewer than {FEW_EXAMPLES} training examples in {len(few)} classes "
            f"({', '.join(few[:5])}{', …' if len(few) > 5 else ''}): add examples of them first."
        )
    if counts.min() and counts.max() / counts.min() >= IMBALANCE:
        risks.append(
            f"Imbalance: {counts.max()} examples of {splits.class_names[counts.argmax()]!r}, "
            f"{counts.min()} of {splits.class_names[counts.argmin()]!r}. Read macro F1 and the "
            "figures of each class, not accuracy alone."
        )
    return risks
