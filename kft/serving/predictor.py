"""Answers about files, from a run's model or from an export."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.errors import DataError, ExportError
from kft.examples import Files, Inputs
from kft.serving.versions import read_card
from kft.tasks import BOXES, Task, list_tasks, load_task

# Large enough to keep two cores busy, small enough for any memory.
BATCH_SIZE = 32


@dataclass(frozen=True)
class Answer:
    """The answer of a model about one file.

    Attributes:
        file: File name as given.
        values: Probability or number by name, in the order of the model.
        task: Task of the model.
        deviations: Standard deviation of each number in training, by name; empty if unknown.
        companion: Dense answer, for tasks that have one: a mask uint8 (height, width) of the file,
            or boxes (boxes, 6): class, left, top, right and bottom in the file, probability.
    """

    file: str
    values: dict[str, float]
    task: Task
    deviations: Mapping[str, float] = field(default_factory=dict)
    companion: np.ndarray | None = None

    def best(self, count: int | None = None) -> list[tuple[str, float]]:
        """List the `count` most probable names with their probabilities, by default all names."""
        return sorted(self.values.items(), key=lambda item: -item[1])[:count]

    def format(self, name: str) -> str:
        """Format a probability or number with as many digits as distinguish answers."""
        return self.task.format_value(self.values[name], spread=self.deviations.get(name))

    @property
    def chosen(self) -> list[str] | None:
        """Chosen classes or labels, most probable first; None for numbers."""
        return self.task.choose(self.values)

    @property
    def boxes(self) -> list[dict[str, Any]] | None:
        """Boxes as JSON values, surest first; None for answers without boxes.

        Each has `class`, `left`, `top`, `right` and `bottom` in pixels of the upright file, and
        `score`.
        """
        if self.task.companion != BOXES or self.companion is None:
            return None
        names = list(self.values)
        keys = ("class", "left", "top", "right", "bottom", "score")
        return [
            dict(zip(keys, (names[int(code)], *values), strict=True))
            for code, *values in self.companion.tolist()
        ]


def is_export(path: Path) -> bool:
    """Whether `path` is a SavedModel, or a folder of numbered versions of one."""
    return find_version(path) is not None


def find_version(path: Path) -> Path | None:
    """Find the SavedModel at `path`: the path itself, or its highest version; None without one."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [entry for entry in path.glob("*/saved_model.pb") if entry.parent.name.isdigit()]
    return max((v.parent for v in versions), key=lambda v: int(v.name), default=None)


class ExportedModel:
    """An export, called through the signature that TensorFlow Serving calls.

    Args:
        export: A SavedModel that kft exported, or the folder of its versions.

    Raises:
        ExportError: There is no kft export at this path.
    """

    def __init__(self, export: Path) -> None:
        path = find_version(export)
        if path is None:
            raise ExportError(
                f"{export}: not an export: it has neither saved_model.pb nor numbered versions"
            )
        _import_packages(path)
        try:
            # Kept, because its variables would be deleted with it.
            self._loaded = tf.saved_model.load(str(path))
            self._serve = self._loaded.signatures["serving_default"]
            encoded = {"encoded": tf.TensorSpec((None,), tf.string, name="encoded")}
            if self._serve.structured_input_signature[1] != encoded:
                raise KeyError("encoded")
        except (OSError, ValueError, KeyError) as error:
            raise ExportError(f"{path}: not a kft export: {error}") from error
        head = (read_card(path) or {}).get("head", {})
        self._task = _find_task(path, head, self._serve.structured_outputs)
        self._deviations = read_deviations(head)

    def answer(self, files: Sequence[str], inputs: Inputs) -> list[Answer]:
        """Answer about files.

        Args:
            files: Names for the answers.
            inputs: File to read, or value, for each name.

        Raises:
            DataError: A file is missing or cannot be decoded; it is named.
        """
        answers: list[Answer] = []
        for start in range(0, len(files), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            answers.extend(self._answer(files[batch], inputs.take(range(len(inputs))[batch])))
        return answers

    def _answer(self, files: Sequence[str], inputs: Inputs) -> list[Answer]:
        encoded = (
            [_read(path) for path in inputs.paths]
            if isinstance(inputs, Files)
            else list(inputs.contents)
        )
        try:
            served = self._serve(encoded=tf.constant(encoded))
        except tf.errors.InvalidArgumentError:
            self._name_undecodable(files, encoded)
            raise
        return make_answers(files, served, self._task, self._deviations)

    def _name_undecodable(self, files: Sequence[str], encoded: Sequence[bytes]) -> None:
        """Raise an error that names the file because of which a batch failed."""
        for file, content in zip(files, encoded, strict=True):
            try:
                self._serve(encoded=tf.constant([content]))
            except tf.errors.InvalidArgumentError as error:
                reason = str(error.message).splitlines()[0]
                raise DataError(f"{file}: cannot be decoded by this export: {reason}") from None


def _import_packages(export: Path) -> None:
    """Import the packages that an export's graph needs.

    Raises:
        ExportError: One is not installed.
    """
    for package in (read_card(export) or {}).get("packages", ()):
        try:
            importlib.import_module(package.replace("-", "_"))
        except ImportError as error:
            raise ExportError(
                f"{export}: this export needs the package {package}, which cannot be imported "
                f"({error}). Install it with `pip install {package}`."
            ) from None


def _find_task(export: Path, head: Mapping[str, Any], outputs: Collection[str]) -> Task:
    """Find the task of an export by its card, or without a card by its outputs.

    Raises:
        ExportError: No task has such outputs.
    """
    if "name" in head:
        return load_task(head["name"])
    own = {
        task: {task.head.values_output, task.head.names_output, *task.head.other_outputs}
        for task in list_tasks()
    }
    # A guard has outputs beside those of the task.
    fitting = [task for task, names in own.items() if names <= set(outputs)]
    if fitting:
        return max(fitting, key=lambda task: len(own[task]))
    raise ExportError(f"{export}: not a kft export: its outputs are {', '.join(outputs)}")


def make_answers(
    files: Sequence[str], served: Mapping[str, Any], task: Task, deviations: Mapping[str, float]
) -> list[Answer]:
    """Make an answer about each file.

    Args:
        files: Name of each file.
        served: Tensors (files, …) as `Head.serve` returns them.
        task: Task of the model.
        deviations: See `Answer`.
    """
    head = task.head
    arrays = {name: each.numpy() for name, each in served.items()}
    values, names = arrays[head.values_output], arrays[head.names_output]
    return [
        Answer(
            file,
            {n.decode(): float(v) for n, v in zip(names[row], values[row], strict=True)},
            task,
            deviations,
            head.find_companion(arrays, row),
        )
        for row, file in enumerate(files)
    ]


def read_deviations(head: Mapping[str, Any]) -> dict[str, float]:
    """Read the training deviation of each number from a head's card; empty if it has none."""
    if "deviations" not in head:
        return {}
    return dict(zip(head["class_names"], head["deviations"], strict=True))


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None
