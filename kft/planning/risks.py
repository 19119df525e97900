"""Risks that are visible before training: few examples, imbalance, overfitting."""

from __future__ import annotations

import numpy as np

from kft.backbones.record import Backbone
from kft.examples import Splits
from kft.strategies import Phase

# With fewer examples of a class, the accuracy of that class means little.
FEW_EXAMPLES = 10
# If the largest class is this many times the smallest, accuracy alone misleads.
IMBALANCE = 5.0
# With fewer holdout examples, the 95 % interval is wider than 20 points.
SMALL_HOLDOUT = 100
# With fewer validation examples, a gain of ten points is within chance.
SMALL_VALIDATION = 50


def find_risks(splits: Splits, backbone: Backbone, phases: tuple[Phase, ...]) -> list[str]:
    """Find the risks of a plan.

    Args:
        splits: The examples.
        backbone: The backbone.
        phases: The planned phases.

    Returns:
        Sentences that each name a risk and its remedy; empty if no risk is found.
    """
    risks = []
    if splits.task.has_classes:
        risks.extend(_class_risks(splits))
    if len(splits.holdout) == 0:
        chooses = any(phase.decides_on_validation for phase in phases)
        where = "on which choices were made" if chooses else "alone, which may be few"
        risks.append(f"There is no holdout: metrics come from the validation data {where}.")
    elif len(splits.holdout) < SMALL_HOLDOUT:
        risks.append(
            f"The holdout has {len(splits.holdout)} examples: only a difference of many points "
            "between two models is meaningful."
        )
    risks.extend(_choice_risks(splits, phases))
    if backbone.sha256 is None and len(splits.train) < 10_000:
        risks.append(
            f"The backbone starts from random weights and has {len(splits.train)} training "
            "examples: expect it to stay well below a pretrained one."
        )
    elif any(map(_is_deep, phases)) and len(splits.train) < 50 * max(1, len(splits.class_names)):
        risks.append(
            f"Overfitting: the backbone's weights train on {len(splits.train)} examples. Compare "
            "with `strategy.name=linear_probe`."
        )
    return risks


def _is_deep(phase: Phase) -> bool:
    """Tell whether all weights of a block train, and are kept without a look at other examples."""
    has_all = phase.scope.part == "all" and phase.scope.lora is None
    is_proven = phase.choice.blends or phase.folds is not None
    return len(phase.scope.trainable) > 1 and has_all and not is_proven


def _choice_risks(splits: Splits, phases: tuple[Phase, ...]) -> list[str]:
    chooses = any(phase.decides_on_validation for phase in phases)
    if not chooses or len(splits.validation) >= SMALL_VALIDATION:
        return []
    return [
        f"Choices are made on {len(splits.validation)} validation examples, which show only a "
        "large gain. Raise `data.validation`, or add examples."
    ]


def _class_risks(splits: Splits) -> list[str]:
    counts = np.bincount(splits.train.targets, minlength=len(splits.class_names))
    risks = []
    few = [splits.class_names[i] for i in np.flatnonzero(counts < FEW_EXAMPLES)]
    if few:
        risks.append(
            f"Fewer than {FEW_EXAMPLES} training examples in {len(few)} classes "
            f"({', '.join(few[:5])}{', …' if len(few) > 5 else ''}): add examples of these first."
        )
    if counts.min() and counts.max() / counts.min() >= IMBALANCE:
        risks.append(
            f"Imbalance: {counts.max()} examples of {splits.class_names[counts.argmax()]!r}, "
            f"{counts.min()} of {splits.class_names[counts.argmin()]!r}. Look at macro F1 and the "
            "metrics of each class, not at accuracy alone."
        )
    return risks
