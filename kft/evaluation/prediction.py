"""Model -> outputs for every example of a split, and predictions.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from kft.features import Forward, SelectedEngine, select_engine
from kft.heads.base import Head
from kft.runs.atomic import write_text

# What the parity gate allows between an export and the trained model.
_TOLERANCE = 1e-5


class Predictor:
    """Gives a model's outputs for every example of a split; one engine computes all of them.

    Over many files it is LiteRT where that gives Keras's outputs to within what the parity gate
    of an export allows; over few it is Keras.

    Args:
        answers: Pixels -> probabilities or numbers, of a model that trains no further.
        num_examples: How many will be asked for in all.
        engine: 'keras' for Keras whatever the number; anything else is as 'auto'.
    """

    def __init__(self, answers: Forward, *, num_examples: int, engine: str = "auto") -> None:
        self._answers = answers
        self._num_examples = num_examples
        self._engine = "keras" if engine == "keras" else "auto"
        self._selected: SelectedEngine | None = None

    def __call__(
        self,
        batches: Iterable[tf.Tensor | tuple[tf.Tensor, ...]],
        *,
        num_examples: int,
        progress: Callable[[int, int], None],
    ) -> np.ndarray:
        """Probabilities (examples, classes), or numbers (examples, numbers), in order.

        Args:
            batches: Of pixels, or of (pixels, targets).
            num_examples: How many there are.
            progress: Told how many are done of how many.
        """
        outputs = []
        done = 0
        for batch in batches:
            pixels = batch[0] if isinstance(batch, tuple) else batch
            if self._selected is None:
                self._selected = select_engine(
                    self._answers,
                    pixels,
                    engine=self._engine,
                    num_examples=self._num_examples,
                    tolerance=_TOLERANCE,
                )
            outputs.append(self._selected(pixels))
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
        outputs: As `Predictor` gives them.
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
    return [format(value, ".9g") for value in np.asarray(values, np.float32).tolist()]
