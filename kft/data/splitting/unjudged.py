"""Classes and labels that train has and a split that judges lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kft.examples import SPLIT_NAMES, Examples, SplitName, TargetKind
from kft.printing import listed


def find_present(targets: np.ndarray) -> set[int]:
    """Indices of the classes, or of the labels, that occur."""
    if targets.ndim == 1:
        return set(np.unique(targets).tolist())
    return set(np.flatnonzero((targets > 0.5).any(axis=0)).tolist())


def describe_unjudged(
    parts: Mapping[SplitName, Examples], kind: TargetKind, class_names: Sequence[str]
) -> tuple[str, ...]:
    """Sentences: which classes are learned, but not judged on validation, the holdout or both.

    Args:
        parts: The examples of each split.
        kind: What a target is.
        class_names: Name of each class or label.
    """
    judging = [name for name in SPLIT_NAMES[1:] if len(parts[name])]
    if kind == "number" or not judging:
        return ()
    targets = parts["train"].targets
    counts = (
        np.bincount(targets, minlength=len(class_names))
        if kind == "class"
        else (targets > 0.5).sum(axis=0)
    )
    present = {name: find_present(parts[name].targets) for name in judging}
    lacking = {name: find_present(targets) - present[name] for name in judging}
    nowhere = set.intersection(*lacking.values())
    word = ("class", "classes") if kind == "class" else ("label", "labels")

    def name_them(indices: set[int]) -> str:
        names = [f"{class_names[i]} ({counts[i]:,} in train)" for i in sorted(indices)]
        return f"{len(names):,} {word[len(names) != 1]}, {listed(names)}"

    def describe() -> Iterator[str]:
        if nowhere:
            yield (
                f"learned, but not judged, for want of examples outside train: "
                f"{name_them(nowhere)}. Add examples, or have them refused with "
                "data.split.rare=refuse."
            )
        for name in judging:
            if lacking[name] - nowhere:
                lacked = name_them(lacking[name] - nowhere)
                yield f"not judged on {name}, which lacks them: {lacked}."

    return tuple(describe())
