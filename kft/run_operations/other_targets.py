"""Targets of other data by the class indices of a run's model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kft.config.section import compose
from kft.data.class_names import find_similar
from kft.data.found import sort_class_names
from kft.display import Display
from kft.errors import DataError
from kft.examples import SPLIT_NAMES, Examples, Splits
from kft.printing import listed
from kft.tasks import Task
from kft.tasks.head import Head


def translate_targets(splits: Splits, head: Head, display: Display) -> Examples:
    """Join all examples of other data, with targets by the model's class indices.

    Raises:
        DataError: The data have another kind of target or an unknown class, label or number;
            or they lack a label or number of the model.
    """
    known = tuple(map(compose, head.class_names))
    task, names = head.task, splits.class_names
    if splits.task != task:
        raise DataError(f"the model answers {task.word!r}, but the data hold {splits.task.word!r}.")
    examples = splits.join(SPLIT_NAMES)
    if not task.is_stratified and len(names) == len(known) == 1 and names != known:
        display.stage(f"Judged: {known[0]!r} of the model against {names[0]!r} of the data")
        names = known
    _refuse_other_names(task, names, known)
    if examples.target_files is not None and names != known:
        raise DataError(
            f"the data number their {task.nouns} {listed(names, 30)}, but the model "
            f"{listed(known, 30)}. Give the masks in the order of the model."
        )
    places = np.array([known.index(name) for name in names])
    return replace(examples, targets=task.rearrange(examples.targets, places, len(known)))


def _refuse_other_names(task: Task, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = sort_class_names(set(names) - set(known))
    if unknown:
        similar = find_similar(unknown, known)
        described = [
            f"{name!r} (did you mean {similar[name]!r}?)" if name in similar else name
            for name in unknown
        ]
        raise DataError(
            f"the data have {task.nouns} that the model does not know: {listed(described)}. "
            f"It knows: {listed(tuple(known), 30)}. If a class only has another name, give it: "
            "data.class_aliases={THEIRS: OURS}."
        )
    missing = [name for name in known if name not in names]
    # A class may have no example, but labels and numbers have columns.
    if missing and not task.has_classes and not task.reads_boxes:
        raise DataError(
            f"the data lack {task.nouns} that the model answers: {listed(missing)}. The model "
            "cannot be judged without them; name their columns with data.table.label_columns."
        )
