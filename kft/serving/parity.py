"""The parity check: an export must give the same answers as the trained model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from kft.errors import ExportError
from kft.examples import Examples, Files, Inputs
from kft.tasks.compared_output import ComparedOutput


class ServingProcess:
    """A process with TensorFlow but without kft, which answers once from an export.

    It starts, and imports TensorFlow, while the caller does something else. It ends
    with the `with` block, or with the process that started it.
    """

    def __init__(self) -> None:
        worker = Path(__file__).with_name("parity_worker.py")
        # -I: no user site, no PYTHONPATH, no working directory on the path.
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(worker)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # Ctrl-C is meant for this process, which may finish its step first.
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def answer(self, export: Path, files: Sequence[str]) -> dict[str, np.ndarray]:
        """Compute an export's answers about files.

        Raises:
            ExportError: The process failed; its last lines are in the message.
        """
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder, "answers.npz")
            asked = [str(export.absolute()), list(map(os.path.abspath, files)), str(output)]
            _, errors = self._process.communicate(json.dumps(asked))
            if self._process.returncode != 0:
                last_lines = "\n".join(errors.strip().splitlines()[-5:])
                raise ExportError(f"the export does not load in a new process:\n{last_lines}")
            with np.load(output, allow_pickle=False) as answers:
                return dict(answers)


def check_parity(
    process: ServingProcess,
    export: Path,
    examples: Examples,
    expected: Mapping[str, np.ndarray],
    outputs: Sequence[ComparedOutput],
    *,
    is_float32: bool = True,
) -> float:
    """Compute the largest difference between an export's outputs and the trained model's.

    Args:
        process: Process that answers from the export.
        export: Folder of the SavedModel.
        examples: Examples, which the export gets as bytes.
        expected: The trained model's outputs (examples, …), by the name of the output.
        outputs: Outputs to compare.
        is_float32: Whether the model computes in float32 throughout.

    Returns:
        The difference in the units of its output.

    Raises:
        ExportError: An output differs by more than its tolerance; the worst example is named.
    """
    with _as_files(examples.inputs) as files:
        served = process.answer(export, files)
    return max(
        _compare(output, examples.ids, served[output.name], expected[output.name], is_float32)
        for output in outputs
    )


@contextmanager
def _as_files(inputs: Inputs) -> Iterator[Sequence[str]]:
    """Find the files that another process reads; values are written to temporary ones."""
    if isinstance(inputs, Files):
        yield inputs.paths
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, str(number)) for number in range(len(inputs))]
        for path, content in zip(paths, inputs.contents, strict=True):
            path.write_bytes(content)
        yield list(map(str, paths))


def _compare(
    output: ComparedOutput,
    names: Sequence[str],
    served: np.ndarray,
    expected: np.ndarray,
    is_float32: bool,
) -> float:
    tolerance = output.tolerance if is_float32 else output.low_precision_tolerance
    if served.shape != expected.shape:
        raise ExportError(
            f"output {output.name!r}: the export answers {served.shape}, the trained model "
            f"{expected.shape}. The export was removed."
        )
    differences = (output.measure or partial(_measure, output.units))(served, expected)
    worst = int(differences.argmax())
    # `not … <=` rather than `>`, so that NaN fails too.
    if not differences[worst] <= tolerance or np.isnan(differences).any():
        raise ExportError(
            f"{names[worst]}: the export answers {_shorten(served[worst])}, the trained model "
            f"{_shorten(expected[worst])}: a difference of {differences[worst]:.2g}, but at most "
            f"{tolerance:.0e} is allowed. The export was removed."
        )
    return float(differences[worst])


def _measure(units: Sequence[float], served: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Find the largest difference of each example, in the units of the columns."""
    # As float64, because differences of unsigned integers would wrap around.
    distances = np.abs(served.astype(np.float64) - expected) / np.array(units)
    largest: np.ndarray = distances.reshape(len(served), -1).max(axis=1)
    return largest


def _shorten(answer: np.ndarray) -> str:
    """Format an answer; a dense one by its shape."""
    return str(answer.tolist()) if answer.ndim < 2 else f"an array {answer.shape}"
