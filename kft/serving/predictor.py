"""Files -> answers, from a run's model or from an export."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from kft.errors import DataError, ExportError
from kft.serving.versions import read_card
from kft.tasks import Task, list_tasks, load_task
from kft.tasks.head import Head

# Enough to keep two cores busy, few enough that memory does not grow with the files.
BATCH_SIZE = 32


@dataclass(frozen=True)
class Answer:
    """What a model says of one file.

    Attributes:
        file: As it was given.
        values: Name -> probability (or number), in the order of the model.
        task: What it answers.
        deviations: Name -> standard deviation of a number in training; empty where unknown.
    """

    file: str
    values: dict[str, float]
    task: Task
    deviations: Mapping[str, float] = field(default_factory=dict)

    def best(self, count: int | None = None) -> list[tuple[str, float]]:
        """The `count` most probable names, or all of them, the most probable first."""
        return sorted(self.values.items(), key=lambda item: -item[1])[:count]

    def format(self, name: str) -> str:
        """A probability or number as people read it: to the digits that tell answers apart."""
        return self.task.format_value(self.values[name], spread=self.deviations.get(name))

    @property
    def chosen(self) -> list[str] | None:
        """The names that it chooses, the best first; None of numbers, which all count."""
        return self.task.choose(self.values)


def is_export(path: Path) -> bool:
    """Whether `path` is a SavedModel, or a folder of numbered versions of one."""
    return find_version(path) is not None


def find_version(path: Path) -> Path | None:
    """The SavedModel at `path`: itself, or its highest version; None if there is none."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [entry for entry in path.glob("*/saved_model.pb") if entry.parent.name.isdigit()]
    return max((v.parent for v in versions), key=lambda v: int(v.name), default=None)


class ExportedModel:
    """An export, asked through the signature that TensorFlow Serving calls.

    Args:
        export: Of kft: a SavedModel, or the folder of its versions.

    Raises:
        ExportError: There is no kft export there.
    """

    def __init__(self, export: Path) -> None:
        path = find_version(export)
        if path is None:
            raise ExportError(f"{export}: holds no saved_model.pb, nor numbered versions that do")
        try:
            # Kept: its variables go with it.
            self._loaded = tf.saved_model.load(str(path))
            self._serve = self._loaded.signatures["serving_default"]
            encoded = {"encoded": tf.TensorSpec((None,), tf.string, name="encoded")}
            if self._serve.structured_input_signature[1] != encoded:
                raise KeyError("encoded")
        except (OSError, ValueError, KeyError) as error:
            raise ExportError(f"{path}: not an export of kft: {error}") from error
        head = (read_card(path) or {}).get("head", {})
        self._task = _find_task(path, head, self._serve.structured_outputs)
        self._deviations = _read_deviations(head)

    def answer(self, files: Sequence[str], paths: Sequence[str]) -> list[Answer]:
        """The answers about files.

        Args:
            files: Names for the answers.
            paths: What is read for each.

        Raises:
            DataError: A file is missing or cannot be decoded; it is named.
        """
        answers: list[Answer] = []
        for start in range(0, len(files), BATCH_SIZE):
            batch = slice(start, start + BATCH_SIZE)
            answers.extend(self._answer(files[batch], paths[batch]))
        return answers

    def _answer(self, files: Sequence[str], paths: Sequence[str]) -> list[Answer]:
        encoded = [_read(path) for path in paths]
        try:
            served = self._serve(encoded=tf.constant(encoded))
        except tf.errors.InvalidArgumentError:
            self._name_undecodable(files, encoded)
            raise
        head = self._task.head
        values, names = served[head.values_output].numpy(), served[head.names_output].numpy()
        return [
            Answer(
                file,
                {n.decode(): float(v) for n, v in zip(names[row], values[row], strict=True)},
                self._task,
                self._deviations,
            )
            for row, file in enumerate(files)
        ]

    def _name_undecodable(self, files: Sequence[str], encoded: Sequence[bytes]) -> None:
        """Raise for the file that a batch failed for."""
        for file, content in zip(files, encoded, strict=True):
            try:
                self._serve(encoded=tf.constant([content]))
            except tf.errors.InvalidArgumentError as error:
                reason = str(error.message).splitlines()[0]
                raise DataError(f"{file}: cannot be decoded by this export: {reason}") from None


def _find_task(export: Path, head: Mapping[str, Any], outputs: Collection[str]) -> Task:
    """The task of an export: as its card says, or of one without a card, by its outputs.

    Raises:
        ExportError: No task has such outputs.
    """
    if "name" in head:
        return load_task(head["name"])
    for task in list_tasks():
        kind = task.head
        if {kind.values_output, kind.names_output, *kind.other_outputs} == set(outputs):
            return task
    raise ExportError(f"{export}: not an export of kft: its outputs are {', '.join(outputs)}")


def _read_deviations(head: Mapping[str, Any]) -> dict[str, float]:
    """Of the numbers that a head answers; empty of one that does not say."""
    if "deviations" not in head:
        return {}
    return dict(zip(head["class_names"], head["deviations"], strict=True))


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None


def answers_from_outputs(files: Sequence[str], outputs: np.ndarray, head: Head) -> list[Answer]:
    """The answers that a trained model's outputs stand for.

    Args:
        files: Name of each.
        outputs: What the head's `activate` gave for each (files, outputs).
        head: What the outputs mean.
    """
    names = head.class_names
    deviations = _read_deviations(head.describe())
    return [
        Answer(
            file,
            {name: float(value) for name, value in zip(names, row, strict=True)},
            head.task,
            deviations,
        )
        for file, row in zip(files, head.restore_units(outputs), strict=True)
    ]
