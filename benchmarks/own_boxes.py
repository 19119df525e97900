"""What kft reaches on boxes under a stopwatch. Called in processes of its own."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from kft.config import load_pipeline
from kft.display import Display
from kft.startup import start_tensorflow
from kft.workflow import train as run_workflow

start_tensorflow()


def train(data: str, settings: Sequence[str]) -> dict[str, Any]:
    """One run without export: its figures on the holdout, and seconds to there.

    Args:
        data: What `kft train` would be given.
        settings: Overrides.

    Returns:
        `figures`, `seconds` of everything but imports, and `step_seconds` of the last phase
        without its first step, which is traced.
    """
    nothing = Path(os.devnull)
    with tempfile.TemporaryDirectory() as runs, nothing.open("w", encoding="utf-8") as nowhere:
        given = (*settings, "export.enabled=false", f"runs_directory={runs}")
        begun = time.monotonic()
        finished = run_workflow(load_pipeline(data, given), Display(Console(file=nowhere)))
        seconds = time.monotonic() - begun
        assert finished.evaluation is not None
        last = finished.fitted[-1]
        step_seconds = (last.seconds - last.first_step_seconds) / max(1, last.steps_done - 1)
        figures = finished.evaluation.figures
    return {"figures": figures, "seconds": seconds, "step_seconds": step_seconds}
