"""Labels that a probe, which did not see the example, does not believe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from kft.auditing.folds import NUM_FOLDS, deal_folds
from kft.auditing.seen_examples import SeenExamples
from kft.findings import Finding, Flagged
from kft.linear import LinearTargets, cross_validate
from kft.linear.problem import Problem
from kft.statistics import wilson_interval
from kft.tasks.classification.linear import ClassLoss

# An answer as sure as this one counts, although others of its class may be surer still.
_SURE = 0.8


def predict_out_of_fold(
    vectors: np.ndarray,
    classes: np.ndarray,
    num_classes: int,
    *,
    alike: Sequence[Sequence[int]] = (),
    seed: int = 0,
) -> np.ndarray:
    """Probabilities of each example by a linear probe that was not fitted on it.

    float32 (examples, classes). The penalty is the one that cross-validation chooses.

    Args:
        vectors: Feature vectors (examples, features), possibly memory-mapped; read in blocks.
        classes: Class of each, int64 (examples,).
        num_classes: How many classes there are.
        alike: Sets of positions of examples that look the same. They are left out together: a
            copy with the same wrong label would speak for it.
        seed: Of the folds.
    """
    targets = LinearTargets(np.eye(num_classes, dtype=np.float32)[classes])
    penalty = cross_validate(vectors, targets, ClassLoss(), seed=seed).best.penalty
    folds = deal_folds(classes, seed=seed, alike=alike)
    problem = Problem(vectors, targets, ClassLoss())
    mask = np.stack([folds != fold for fold in range(NUM_FOLDS)])
    state = problem.solve(penalty, mask, None, tolerance=1e-6)
    probabilities: np.ndarray = special.softmax(problem.predict_out_of_fold(state, folds), axis=1)
    return probabilities


def find_label_problems(
    seen: SeenExamples, probabilities: np.ndarray, backbone: str
) -> tuple[tuple[Finding, ...], str]:
    """Examples that are likely to belong to another class, the least believed label first.

    An example counts where the probability of another class is at least as high as is usual for
    examples of that class, so that a class that is told less surely is not blamed for it.

    Args:
        seen: What to look at.
        probabilities: Out of fold, (examples, classes).
        backbone: On whose features the probe stands.

    Returns:
        What was found, and why it was not looked for: empty where it was.

    Source: Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset
    Labels, arXiv:1911.00068: the confident joint, ranked by self-confidence.
    """
    classes = seen.classes
    assert classes is not None
    rows = np.arange(len(classes))
    correct = int((probabilities.argmax(axis=1) == classes).sum())
    accuracy = correct / len(classes)
    guessing = float(np.bincount(classes).max()) / len(classes)
    if wilson_interval(correct, len(classes))[0] <= guessing:
        return (), (
            f"Labels: a probe on {backbone} is right for {accuracy:.0%} of the "
            f"{seen.modality.nouns} that it has not seen, no more than guessing "
            f"({guessing:.0%}), so it cannot judge labels."
        )
    confidence = probabilities[rows, classes]
    usual = _usual_confidence(confidence, classes, probabilities.shape[1])
    believed = np.where(probabilities >= usual, probabilities, 0.0)
    likely = believed.argmax(axis=1)
    doubted = np.flatnonzero((believed.max(axis=1) > 0) & (likely != classes))
    doubted = doubted[np.argsort(confidence[doubted], kind="stable")]
    if not len(doubted):
        return (), ""
    verb = "has a label" if len(doubted) == 1 else "have labels"
    return (
        Finding(
            "label_problems",
            "warning",
            f"{seen.count(len(doubted))} {verb} that a probe on {backbone} does not believe "
            f"(it has not seen them, and is right for {accuracy:.1%} of all). Look at them, the "
            "least believable first; kft changes no label.",
            tuple(
                Flagged(
                    seen.names[place],
                    f"labelled {seen.label(place)} ({confidence[place]:.2f}), looks like "
                    f"{seen.class_names[likely[place]]} "
                    f"({probabilities[place, likely[place]]:.2f})",
                )
                for place in doubted.tolist()
            ),
        ),
    ), ""


def _usual_confidence(confidence: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Mean probability of a class over the examples labelled with it; out of reach without any."""
    counts = np.bincount(classes, minlength=num_classes)
    sums = np.bincount(classes, weights=confidence, minlength=num_classes)
    return np.where(counts > 0, np.minimum(sums / np.maximum(counts, 1), _SURE), 2.0)
