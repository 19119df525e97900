"""Files -> answers, from a run's model or from an export."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from kft.errors import DataError, ExportError
from kft.figures import format_figure, format_share
from kft.heads.base import Head

# Enough to keep two cores busy, few enough that memory does not grow with the files.
BATCH_SIZE = 32


@dataclass(frozen=True)
class Answer:
    """What a model says of one picture.

    Attributes:
        file: As it was given.
        values: Name -> probability (or number), in the order of the model.
        has_one_class: Whether the probabilities exclude each other.
        deviations: Name -> standard deviation of a number in training; empty of probabilities.
    """

    file: str
    values: dict[str, float]
    has_one_class: bool
    deviations: Mapping[str, float] = field(default_factory=dict)

    def best(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable names."""
        return sorted(self.values.items(), key=lambda item: -item[1])[:count]

    def format(self, name: str) -> str:
        """A probability or number as people read it: to the digits that tell answers apart."""
        value = self.values[name]
        if name in self.deviations:
            return format_figure(value, spread=self.deviations[name])
        return format_share(value)


def is_export(path: Path) -> bool:
    """Whether `path` is a SavedModel, or a folder of numbered versions of one."""
    return find_version(path) is not None


def find_version(path: Path) -> Path | None:
    """The SavedModel at `path`: itself, or its highest version; None if there is none."""
    if (path / "saved_model.pb").is_file():
        return path
    versions = [entry for entry in path.glob("*/saved_model.pb") if entry.parent.name.isdigit()]
    return max((v.parent for v in versions), key=lambda v: int(v.name), default=None)


def predict_files(
    export: Path, files: Sequence[str], *, paths: Sequence[str] | None = None
) -> list[Answer]:
    """The answers of an export, as TensorFlow Serving would give them.

    Args:
        export: Of kft.
        files: Names for the answers.
        paths: What is read for each; by default the names.

    Raises:
        ExportError: There is no kft export at `export`.
        DataError: A file is missing or no picture; it is named.
    """
    path = find_version(export)
    if path is None:
        raise ExportError(f"{export}: holds no saved_model.pb, nor numbered versions that do")
    try:
        serve = tf.saved_model.load(str(path)).signatures["serving_default"]
        encoded = {"encoded": tf.TensorSpec((None,), tf.string, name="encoded")}
        if serve.structured_input_signature[1] != encoded:
            raise KeyError("encoded")
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"{path}: not an export of kft: {error}") from error
    paths = files if paths is None else paths
    answers: list[Answer] = []
    for start in range(0, len(files), BATCH_SIZE):
        batch = slice(start, start + BATCH_SIZE)
        answers.extend(_answer(serve, files[batch], paths[batch]))
    deviations = _read_deviations(path)
    return [replace(answer, deviations=deviations) for answer in answers]


def _read_deviations(export: Path) -> dict[str, float]:
    """Of the numbers that an export answers; empty of one that does not say."""
    try:
        card = json.loads((export / "assets.extra" / "kft.json").read_text(encoding="utf-8"))
        head = card["head"]
        return dict(zip(head["class_names"], head["deviations"], strict=True))
    # Exports of classes, of others and of before have no such word.
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _answer(
    serve: tf.types.experimental.ConcreteFunction, files: Sequence[str], paths: Sequence[str]
) -> list[Answer]:
    encoded = [_read(path) for path in paths]
    try:
        served = serve(encoded=tf.constant(encoded))
    except tf.errors.InvalidArgumentError:
        for file, content in zip(files, encoded, strict=True):
            try:
                serve(encoded=tf.constant([content]))
            except tf.errors.InvalidArgumentError as error:
                reason = str(error.message).splitlines()[0]
                raise DataError(
                    f"{file}: no JPEG, PNG, GIF, BMP or WebP that can be decoded: {reason}"
                ) from None
        raise
    values = (served["probabilities"] if "probabilities" in served else served["numbers"]).numpy()
    names = (served["class_names"] if "class_names" in served else served["names"]).numpy()
    return [
        Answer(
            file,
            {n.decode(): float(v) for n, v in zip(names[row], values[row], strict=True)},
            "top_class" in served,
        )
        for row, file in enumerate(files)
    ]


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from None


def answers_from_outputs(files: Sequence[str], outputs: np.ndarray, head: Head) -> list[Answer]:
    """The answers that a trained model's outputs stand for.

    Args:
        files: Name of each picture.
        outputs: What the head's `activate` gave for each (files, outputs).
        head: What the outputs mean.
    """
    names = head.class_names
    deviations = dict(zip(names, head.units, strict=True)) if head.target_kind == "number" else {}
    return [
        Answer(
            file,
            {name: float(value) for name, value in zip(names, row, strict=True)},
            head.target_kind == "class",
            deviations,
        )
        for file, row in zip(files, head.restore_units(outputs), strict=True)
    ]
