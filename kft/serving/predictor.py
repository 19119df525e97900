"""Files -> answers, from a run's model or from an export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from kft.errors import DataError, ExportError
from kft.figures import format_figure, format_share
from kft.heads.base import Head
from kft.serving.versions import read_card

# Enough to keep two cores busy, few enough that memory does not grow with the files.
BATCH_SIZE = 32
# A label is answered where it is more probable than not.
LABEL_THRESHOLD = 0.5


@dataclass(frozen=True)
class Answer:
    """What a model says of one file.

    Attributes:
        file: As it was given.
        values: Name -> probability (or number), in the order of the model.
        target_kind: 'class' where the probabilities exclude each other, 'labels' where each
            stands for itself, 'number' where they are no probabilities.
        deviations: Name -> standard deviation of a number in training; empty where unknown.
    """

    file: str
    values: dict[str, float]
    target_kind: str
    deviations: Mapping[str, float] = field(default_factory=dict)

    def best(self, count: int | None = None) -> list[tuple[str, float]]:
        """The `count` most probable names, or all of them, the most probable first."""
        return sorted(self.values.items(), key=lambda item: -item[1])[:count]

    def format(self, name: str) -> str:
        """A probability or number as people read it: to the digits that tell answers apart."""
        value = self.values[name]
        if self.target_kind == "number":
            return format_figure(value, spread=self.deviations.get(name))
        return format_share(value)

    @property
    def chosen(self) -> list[str]:
        """The most probable class, or the labels above one half; of numbers none."""
        if self.target_kind == "class":
            return [name for name, _ in self.best(1)]
        if self.target_kind == "labels":
            return [name for name, value in self.best() if value > LABEL_THRESHOLD]
        return []


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
        self._deviations = _read_deviations(path)

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
        is_number = "numbers" in served
        values = served["numbers" if is_number else "probabilities"].numpy()
        names = served["names" if is_number else "class_names"].numpy()
        kind = "number" if is_number else "class" if "top_class" in served else "labels"
        return [
            Answer(
                file,
                {n.decode(): float(v) for n, v in zip(names[row], values[row], strict=True)},
                kind,
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


def _read_deviations(export: Path) -> dict[str, float]:
    """Of the numbers that an export answers; empty of one that does not say."""
    head = (read_card(export) or {}).get("head", {})
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
    deviations = dict(zip(names, head.units, strict=True)) if head.target_kind == "number" else {}
    return [
        Answer(
            file,
            {name: float(value) for name, value in zip(names, row, strict=True)},
            head.target_kind,
            deviations,
        )
        for file, row in zip(files, head.restore_units(outputs), strict=True)
    ]
