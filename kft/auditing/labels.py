"""Check for doubtful labels, by a probe that was not fitted on the example."""

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

# This confidence is enough, even if other examples of the class are usually surer.
_SURE = 0.8


def predict_out_of_fold(
    vectors: np.ndarray,
    classes: np.ndarray,
    num_classes: int,
    *,
    alike: Sequence[Sequence[int]] = (),
    seed: int = 0,
) -> np.ndarray:
    """Predict the probabilities of each example by a linear probe that was not fitted on it.

    Cross-validation chooses the penalty.

    Args:
        vectors: Feature vectors (examples, features), possibly memory-mapped; read in blocks.
        classes: Class of each example, int64 (examples,).
        num_classes: Number of classes.
        alike: Sets of indices of examples that look the same. They are left out together,
            because a copy with the same wrong label would confirm it.
        seed: Seed of the folds.

        Returns:
        Probabilities, float32 (examples, classes).
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
    """Find examples that probably belong to another class, least credible label first.

    An example is reported if the probability of another class is at least as high as usual for
    examples of that class. Classes with low confidence are therefore not reported more often.

    Args:
        seen: Examples to check.
        probabilities: Out-of-fold probabilities (examples, classes).
        backbone: Name of the backbone that gave the features.

    Returns:
        Findings, and the reason if the check was skipped, else an empty string.

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
            f"{seen.modality.nouns} that it was not fitted on, no better than guessing "
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
            f"{seen.count(len(doubted))} {verb} that a probe on {backbone} doubts "
            f"(it was not fitted on them, and is right for {accuracy:.1%} of all). Check them, "
            "starting with the least credible; kft does not change labels.",
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
    """Mean probability of each class over its labelled examples; unreachable without examples."""
    counts = np.bincount(classes, minlength=num_classes)
    sums = np.bincount(classes, weights=confidence, minlength=num_classes)
    return np.where(counts > 0, np.minimum(sums / np.maximum(counts, 1), _SURE), 2.0)
