"""Explanation of a trained model's answers, with the checks of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kft.explanation.checks import Deletion, compare_values, shuffled_weights
from kft.explanation.explained_model import ExplainedModel
from kft.explanation.methods import METHODS, Subject, find_methods
from kft.explanation.record import Attribution, Explanation
from kft.modalities import Modality
from kft.modalities.explained import ExplainedExample


@dataclass(frozen=True, eq=False)
class _Task:
    """One answer that is explained, and the values that each method found."""

    file: str
    answer: str
    value: float
    subject: Subject
    values: Mapping[str, np.ndarray]


class Explainer:
    """Explains answers of one model.

    Args:
        model: The model.
        modality: Modality of its examples, which draws.
    """

    def __init__(self, model: ExplainedModel, modality: Modality) -> None:
        self._model, self._modality = model, modality
        self._methods, self._unavailable = find_methods(model)

    def explain(
        self,
        files: Sequence[str],
        examples: Sequence[Mapping[str, np.ndarray]],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Explanation]:
        """Explain the answers about examples by every method that suits the model.

        Args:
            files: Name of each example.
            examples: Decoded elements of each example by name, without the batch.
            progress: Called with the number of examples done and in total, each counted twice.
        """
        tasks: list[_Task] = []
        total = 2 * len(files)
        for done, (file, inputs) in enumerate(zip(files, examples, strict=True), start=1):
            tasks += self._find_tasks(file, inputs)
            progress(done, total)
        shuffled = []
        with shuffled_weights(self._model.model):
            for done, task in enumerate(tasks, start=1):
                shuffled.append(self._apply(self._measure_again(task.subject)))
                progress(len(files) + len(files) * done // len(tasks), total)
        return [self._conclude(task, others) for task, others in zip(tasks, shuffled, strict=True)]

    def _find_tasks(self, file: str, inputs: Mapping[str, np.ndarray]) -> Iterator[_Task]:
        model, spec = self._model, self._model.spec
        tensor, neutral = self._measure(inputs)
        parts = spec.find_parts(inputs, tensor.shape[: len(spec.explained.names)])
        (outputs,) = model.answer({name: each[np.newaxis] for name, each in inputs.items()})
        for answer, value, direction in model.head.find_explained(outputs):
            subject = Subject(inputs, tensor, neutral, parts, direction)
            yield _Task(file, answer, value, subject, self._apply(subject))

    def _measure(self, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Explained tensor of an example, and of the neutral one: (2, …)."""
        neutral = self._model.spec.make_neutral(inputs)
        return self._model.measure(
            {name: np.stack([inputs[name], neutral[name]]) for name in inputs}
        )

    def _measure_again(self, subject: Subject) -> Subject:
        """Measure the tensor with other weights, which may have made it, as those of tokens do."""
        tensor, neutral = self._measure(subject.inputs)
        return replace(subject, tensor=tensor, neutral=neutral)

    def _apply(self, subject: Subject) -> dict[str, np.ndarray]:
        return {name: METHODS[name](self._model, subject) for name in self._methods}

    def _conclude(self, task: _Task, shuffled: Mapping[str, np.ndarray]) -> Explanation:
        subject, spec = task.subject, self._model.spec
        deletion = Deletion(self._model, subject)
        example = ExplainedExample(subject.inputs, subject.tensor, subject.parts)
        attributions = tuple(
            Attribution(
                name,
                values,
                self._modality.describe_explanation(spec, example, values),
                compare_values(values, shuffled[name], subject.parts),
                deletion.trace(values),
                self._modality.draw_explanation(spec, example, values),
            )
            for name, values in task.values.items()
        )
        return Explanation(task.file, task.answer, task.value, attributions, self._unavailable)
