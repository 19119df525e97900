"""Baselines of a modality beside a model, such as word counts for texts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from kft.evaluation.judgement import judge
from kft.evaluation.ladder import Rung
from kft.examples import Examples
from kft.modalities import Modality
from kft.tasks import Task


def measure_baselines(
    modality: Modality, train: Examples, asked: Examples, task: Task, names: Sequence[str]
) -> Iterator[Rung]:
    """Fit each baseline of a modality, and judge it as the model is judged.

    Args:
        modality: Modality of the examples.
        train: Examples that the model was trained on.
        asked: Examples of the evaluation.
        task: Task of the targets.
        names: Name of each output.
    """
    for name, answer in modality.baselines.items():
        begun = time.monotonic()
        outputs = answer(train, asked, task, len(names))
        if outputs is None:
            continue
        figures = judge(task, names, asked.targets, outputs, train_targets=train.targets)
        lead = task.figures.lead(figures)
        yield Rung(name, lead.value, lead.interval, time.monotonic() - begun)
