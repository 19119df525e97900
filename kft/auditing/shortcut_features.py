"""Check for shortcut features: properties that reveal the class without the content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kft.auditing.folds import NUM_FOLDS, deal_folds
from kft.auditing.seen_examples import SeenExamples
from kft.findings import Finding, Flagged, Severity
from kft.modalities.audit_records import Property
from kft.statistics import wilson_interval

# Size of the decision tree: a rule of two leaves per class is simple enough for any model to find.
_LEAVES_PER_CLASS = 2
_MOST_LEAVES = 64
_SMALLEST_LEAF = 5
# Share of the way from guessing to perfect, above which a model needs little from the content.
_STRONG = 0.5
# Number of classes that a finding describes.
_DESCRIBED = 3


@dataclass(frozen=True)
class Telling:
    """Quality of the prediction of the class from a property, on unseen examples.

    Attributes:
        predicted: Predicted class of each example, int64 (examples,).
        recall: Mean of the recalls of the classes.
        low: Lower end of the 95 % interval of `recall`.
        chance: Recall of guessing.
    """

    predicted: np.ndarray
    recall: float
    low: float
    chance: float

    @property
    def is_beyond_chance(self) -> bool:
        """Whether guessing is below the interval."""
        return self.low > self.chance

    @property
    def is_strong(self) -> bool:
        """Whether the recall is at least halfway from guessing to perfect."""
        return self.recall >= self.chance + _STRONG * (1 - self.chance)


def find_shortcut_features(
    seen: SeenExamples, alike: Sequence[Sequence[int]], *, seed: int = 0
) -> tuple[Finding, ...]:
    """Find properties, such as the file format, that alone reveal the class.

    Each property is the only input of a small cross-validated decision tree. Classes have equal
    weight: if most examples are of one class, a rule that finds half of the others is not more
    accurate than guessing, but still reveals much.

    Args:
        seen: Examples to check.
        alike: Sets of indices of examples that look the same. Only one of each set is used,
            because copies would agree with each other.
        seed: Seed of the folds.
    """
    if seen.classes is None:
        return ()
    chosen = _choose(seen, alike)
    classes = seen.classes[chosen]
    if len(np.unique(classes)) < 2:
        return ()
    findings = []
    for of_all in seen.modality.list_properties(seen.checked):
        columns = of_all.columns[chosen]
        if (columns == columns[0]).all():
            continue
        telling = tell_classes(columns, classes, seed=seed)
        if telling.is_beyond_chance:
            findings.append(_make_finding(seen, of_all, telling, chosen))
    return tuple(findings)


def _choose(seen: SeenExamples, alike: Sequence[Sequence[int]]) -> np.ndarray:
    """Choose the indices without copies, of classes that have an example for each fold."""
    assert seen.classes is not None
    places = seen.first_of_each(alike)
    classes = seen.classes[places]
    counts = np.bincount(classes, minlength=len(seen.class_names))
    return places[counts[classes] >= NUM_FOLDS]


def tell_classes(columns: np.ndarray, classes: np.ndarray, *, seed: int = 0) -> Telling:
    """Measure how well a small decision tree predicts the class of unseen examples.

    Args:
        columns: Values of the property, float64 (examples, columns).
        classes: Classes, int64 (examples,), at least two.
        seed: Seed of the folds.

    Source: Zou and Donner, Construction of confidence limits about effect measures, Statistics
    in Medicine 27 (2008), 1693-1702, for the interval of a mean of proportions.
    """
    from sklearn.tree import DecisionTreeClassifier

    folds = deal_folds(classes, seed=seed)
    present, counts = np.unique(classes, return_counts=True)
    predicted = np.empty_like(classes)
    for fold in range(NUM_FOLDS):
        tree = DecisionTreeClassifier(
            max_leaf_nodes=min(_LEAVES_PER_CLASS * len(present), _MOST_LEAVES),
            min_samples_leaf=_SMALLEST_LEAF,
            class_weight="balanced",
            random_state=seed,
        )
        tree.fit(columns[folds != fold], classes[folds != fold])
        predicted[folds == fold] = tree.predict(columns[folds == fold])
    correct = [int((predicted[classes == each] == each).sum()) for each in present]
    recalls = np.array(correct) / counts
    # The distances to the ends of independent intervals add in quadrature.
    lows = [wilson_interval(right, int(of)) for right, of in zip(correct, counts, strict=True)]
    below = recalls - np.array(lows)[:, 0]
    recall = float(recalls.mean())
    low = recall - float(np.linalg.norm(below)) / len(present)
    return Telling(predicted, recall, low, 1 / len(present))


def _make_finding(
    seen: SeenExamples, of_all: Property, telling: Telling, chosen: np.ndarray
) -> Finding:
    assert seen.classes is not None
    classes = seen.classes[chosen]
    is_right = telling.predicted == classes
    correct = {
        int(each): chosen[is_right & (classes == each)] for each in np.unique(classes[is_right])
    }
    severity: Severity = "note"
    if of_all.is_technical or telling.is_strong:
        severity = "problem" if of_all.is_technical and telling.is_strong else "warning"
    return Finding(
        f"{of_all.name.replace(' ', '_')}_tells_class",
        severity,
        f"The {of_all.name} alone predicts the class of {telling.recall:.0%} of the "
        f"{seen.modality.nouns}, averaged over classes (95 % interval from "
        f"{telling.low:.0%}; guessing: {telling.chance:.0%}). "
        f"{_describe_best(seen, of_all, correct)}. A model may learn this instead of the "
        "content, and fail on other data: find out where it comes from.",
        tuple(
            Flagged(seen.names[place], f"{seen.label(place)}, {of_all.values[place]}")
            for place in _in_turn(list(correct.values()))
        ),
    )


def _describe_best(seen: SeenExamples, of_all: Property, correct: dict[int, np.ndarray]) -> str:
    """Describe the typical value of the best predicted classes, with counts."""
    assert seen.classes is not None
    totals = np.bincount(seen.classes, minlength=len(seen.class_names))
    best = sorted(correct, key=lambda each: -len(correct[each]) / totals[each])[:_DESCRIBED]
    return "; ".join(
        f"{seen.class_names[each]}: {of_all.summarise(correct[each])} "
        f"({len(correct[each]):,} of {totals[each]:,} predicted)"
        for each in best
    )


def _in_turn(lists: Sequence[np.ndarray]) -> list[int]:
    """Interleave lists: the first of each, then the second of each, …"""
    longest = max((len(places) for places in lists), default=0)
    return [int(places[i]) for i in range(longest) for places in lists if i < len(places)]
