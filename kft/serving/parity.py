"""Proof that an export answers as the trained model does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kft.errors import ExportError
from kft.tasks.head import ComparedOutput


def ask_export(export: Path, files: Sequence[str]) -> dict[str, np.ndarray]:
    """The answers of an export about files, from a fresh process without kft.

    Raises:
        ExportError: The process failed; its last lines are in the message.
    """
    worker = Path(__file__).with_name("parity_worker.py")
    with tempfile.TemporaryDirectory() as folder:
        file_list, output = Path(folder, "files.json"), Path(folder, "answers.npz")
        file_list.write_text(json.dumps(list(map(os.path.abspath, files))), encoding="utf-8")
        # -I: no user site, no PYTHONPATH, no working directory on the path.
        command = [sys.executable, "-I", str(worker), str(export), str(file_list), str(output)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            last_lines = "\n".join(result.stderr.strip().splitlines()[-5:])
            raise ExportError(f"the export does not load in a fresh process:\n{last_lines}")
        with np.load(output, allow_pickle=False) as answers:
            return dict(answers)


def check_parity(
    export: Path,
    files: Sequence[str],
    expected: Mapping[str, np.ndarray],
    outputs: Sequence[ComparedOutput],
    *,
    is_float32: bool = True,
) -> float:
    """The largest difference between the export's answers and the trained model's, in units.

    Args:
        export: Folder of the SavedModel.
        files: Fed as bytes.
        expected: Name of the output -> the trained model's (files, columns).
        outputs: What is compared, of these.
        is_float32: Whether the model computes in float32 throughout.

    Raises:
        ExportError: An answer differs by more than its output allows; the worst file is named.
    """
    served = ask_export(export, files)
    return max(
        _compare(output, files, served[output.name], expected[output.name], is_float32)
        for output in outputs
    )


def _compare(
    output: ComparedOutput,
    files: Sequence[str],
    served: np.ndarray,
    expected: np.ndarray,
    is_float32: bool,
) -> float:
    tolerance = output.tolerance if is_float32 else output.low_precision_tolerance
    differences = (np.abs(served - expected) / np.array(output.units)).max(axis=1)
    worst = int(differences.argmax())
    # Written so that a NaN fails too.
    if not differences[worst] <= tolerance or np.isnan(differences).any():
        raise ExportError(
            f"for {files[worst]} the export answers {served[worst].tolist()}, the "
            f"trained model {expected[worst].tolist()}: a difference of {differences[worst]:.2g}, "
            f"allowed is {tolerance:.0e}. The export was removed."
        )
    return float(differences[worst])
