"""A run that is killed and resumed, beside one that is not."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path


def compare_killed_run(place: Path, *arguments: str) -> tuple[str, str]:
    """Train twice with the command line, the second time killed after a checkpoint and resumed.

    Args:
        place: Working directory, and folder of the runs.
        *arguments: Of `kft train`.

    Returns:
        Digests of the weights: of the run that went through, and of the killed one.
    """
    own = (*arguments, "export.enabled=false", "training.checkpoint_every=20 steps")
    assert _start(place, *own, "runs_directory=whole").wait() == 0
    killed = _start(place, *own, "runs_directory=killed")
    while not any((place / "killed").glob("*/*/checkpoints/*-best")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (run,) = (place / "killed").glob("*/*")
    assert _start(place, "--resume", str(run)).wait() == 0
    whole, resumed = (_digest(*(place / name).glob("*/*")) for name in ("whole", "killed"))
    return whole, resumed


def _start(place: Path, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", "from kft.cli.main import main; main()", "train"]
    return subprocess.Popen(
        [*command, *arguments], cwd=place, env=environment, stdout=subprocess.DEVNULL
    )


def _digest(run: Path) -> str:
    with zipfile.ZipFile(run / "model.keras") as model:
        return hashlib.sha256(model.read("model.weights.h5")).hexdigest()
