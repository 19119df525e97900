"""Model -> outputs for every example of a split, and predictions.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kft.config import FeaturesConfig
from kft.features import Chosen, Forward, choose_engine
from kft.heads.base import Head
from kft.runs.atomic import write_text

# What the parity gate allows between an export and the trained model.
_TOLERANCE = 1e-5


def predict_outputs(
    model: keras.Model,
    head: Head,
    batches: tf.data.Dataset,
    *,
    num_examples: int,
    progress: Callable[[int, int], None],
    engine: str = "auto",
) -> np.ndarray:
    """Probabilities (examples, classes), or numbers (examples, numbers), in order.

    Over many files the fastest engine computes that gives Keras's outputs to within what the
    parity gate of an export allows; over few it is Keras.

    Args:
        model: Pixels -> logits.
        head: Makes probabilities of logits.
        batches: Of pixels, or of (pixels, targets).
        num_examples: How many there are.
        progress: Told how many are done of how many.
        engine: 'keras' for Keras whatever the number; anything else is as 'auto'.
    """
    chosen: Chosen | None = None
    outputs = []
    done = 0
    for batch in batches:
        pixels = batch[0] if isinstance(batch, tuple) else batch
        if chosen is None:
            chosen = choose_engine(
                Forward(model, head.activate),
                pixels,
                # Never bfloat16: without a judge `auto` does not take it.
                config=FeaturesConfig(engine="keras" if engine == "keras" else "auto"),
                num_examples=num_examples,
                tolerance=_TOLERANCE,
            )
        outputs.append(chosen(pixels))
        done += len(outputs[-1])
        progress(done, num_examples)
    return np.concatenate(outputs)


def write_predictions(
    path: Path, *, head: Head, files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> None:
    """One row an example: file, truth, prediction, every probability or number.

    Args:
        path: Of the CSV file.
        head: What the outputs mean.
        files: Name of each example.
        targets: As `Examples.targets`.
        outputs: As `predict_outputs` gives them.
    """
    names = head.class_names
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if head.target_kind == "class":
        writer.writerow(["file", "true", "predicted", *names])
        for file, target, row in zip(files, targets, outputs, strict=True):
            writer.writerow([file, names[target], names[row.argmax()], *_numbers(row)])
    else:
        columns = [f"{kind} {name}" for kind in ("true", "predicted") for name in names]
        writer.writerow(["file", *columns])
        for file, target, row in zip(files, targets, outputs, strict=True):
            writer.writerow([file, *_numbers(target), *_numbers(row)])
    write_text(path, text.getvalue())


def _numbers(values: np.ndarray) -> list[str]:
    """Text that reads back to the same float32."""
    return [np.format_float_positional(np.float32(value), trim="-") for value in values]
