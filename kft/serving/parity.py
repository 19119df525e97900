"""Proof that an export answers as the trained model does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kft.errors import ExportError

# float32 differs between batch sizes and graph rewrites by a few units in the last place.
TOLERANCE = 1e-5
# bfloat16 keeps 8 bits; XLA and eager round in different places.
LOW_PRECISION_TOLERANCE = 5e-2


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
    expected: np.ndarray,
    *,
    output_name: str,
    units: Sequence[float] = (1.0,),
    tolerance: float = TOLERANCE,
) -> float:
    """The largest difference between the export's answers and the trained model's.

    Args:
        export: Folder of the SavedModel.
        files: Fed as bytes.
        expected: The trained model's outputs for them.
        output_name: Of the signature: 'probabilities' or 'numbers'.
        units: What a difference is measured in, for each output: 1 for
            probabilities, the deviation of the training targets for numbers.
        tolerance: Largest difference allowed, in those units.

    Raises:
        ExportError: An answer differs by more; the worst file is named.
    """
    served = ask_export(export, files)[output_name]
    differences = (np.abs(served - expected) / np.array(units)).max(axis=1)
    worst = int(differences.argmax())
    # Written so that a NaN fails too.
    if not differences[worst] <= tolerance or np.isnan(differences).any():
        raise ExportError(
            f"for {files[worst]} the export answers {served[worst].tolist()}, the "
            f"trained model {expected[worst].tolist()}: a difference of {differences[worst]:.2g}, "
            f"allowed is {tolerance:.0e}. The export was removed."
        )
    return float(differences[worst])
