"""Classes and labels that are learned but not judged, because a split lacks them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kft.examples import SPLIT_NAMES, Examples, SplitName
from kft.printing import listed
from kft.tasks import Task


def find_present(task: Task, targets: np.ndarray, num_names: int) -> set[int]:
    """Find the indices of the names that occur in targets."""
    return set(np.flatnonzero(task.count(targets, num_names)).tolist())


def describe_unjudged(
    parts: Mapping[SplitName, Examples], task: Task, class_names: Sequence[str]
) -> tuple[str, ...]:
    """Say which names are learned, but not judged on validation, the holdout or both.

    Args:
        parts: Examples of each split.
        task: Task of the targets.
        class_names: Name of each class or label.
    """
    judging = [name for name in SPLIT_NAMES[1:] if len(parts[name])]
    if not task.is_stratified or not judging:
        return ()
    counts = task.count(parts["train"].targets, len(class_names))
    learned = set(np.flatnonzero(counts).tolist())
    lacking = {
        name: learned - find_present(task, parts[name].targets, len(class_names))
        for name in judging
    }
    nowhere = set.intersection(*lacking.values())

    def name_them(indices: set[int]) -> str:
        names = [f"{class_names[i]} ({counts[i]:,} in train)" for i in sorted(indices)]
        return f"{len(names):,} {task.noun if len(names) == 1 else task.nouns}, {listed(names)}"

    def describe() -> Iterator[str]:
        if nowhere:
            yield (
                f"learned but not judged, because all examples are in train: "
                f"{name_them(nowhere)}. Add examples, or refuse such classes with "
                "data.split.rare=refuse."
            )
        for name in judging:
            if lacking[name] - nowhere:
                lacked = name_them(lacking[name] - nowhere)
                yield f"not judged on {name}, which has no examples of them: {lacked}."

    return tuple(describe())
