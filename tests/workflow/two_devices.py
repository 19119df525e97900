"""Whole runs on one device and on two; test_devices.py runs this in a separate process."""

from __future__ import annotations

import csv
import io
import json
import signal
import sys
import zipfile
from pathlib import Path
from typing import Any

import tensorflow as tf

PLACE, KINDS = Path(sys.argv[1]), json.loads(sys.argv[2])
# Must happen before anything else uses the devices.
CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(CPU, [tf.config.LogicalDeviceConfiguration()] * 2)


def train_on(devices: str, settings: list[str], run_id: str) -> Path:
    from kft.config import load_pipeline
    from kft.workflow import train

    own = [*settings, f"training.distribution={devices}", f"runs_directory={PLACE / devices}"]
    pipeline = load_pipeline(str(PLACE / "photos"), own)
    return train(pipeline, make_display(), run_id=run_id).run.path


def make_display() -> Any:
    from rich.console import Console

    from kft.display import Display

    return Display(Console(file=io.StringIO()))


def stop_and_resume(settings: list[str], run_id: str) -> Path:
    """Train a run that is stopped in the middle of an epoch, and resume it."""
    from kft.provenance import read_interrupted
    from kft.runs.checkpoints import Checkpoints
    from kft.training.stopping import Interrupted
    from kft.workflow import resume

    write, written = Checkpoints.write, []

    def stop(store: Checkpoints, state: Any, *args: Any, **options: Any) -> Path:
        path = write(store, state, *args, **options)
        written.append(state)
        if len(written) == 6:
            raise Interrupted(signal.SIGTERM)
        return path

    Checkpoints.write = stop
    try:
        train_on("mirrored", settings, run_id)
        raise AssertionError("it was not stopped")
    except Interrupted:
        Checkpoints.write = write
    path = PLACE / "mirrored" / "photos" / run_id
    resume(read_interrupted(path), make_display())
    return path


def read_history(run: Path) -> list[list[float]]:
    rows = []
    for path in sorted(run.glob("phases/*/history.csv")):
        with path.open() as file:
            rows += [[float(value) for value in row.values()] for row in csv.DictReader(file)]
    return rows


def read_weights(run: Path) -> bytes:
    with zipfile.ZipFile(run / "model.keras") as archive:
        return archive.read("model.weights.h5")


def main() -> None:
    answer = {}
    for number, (kind, settings) in enumerate(KINDS.items()):
        one = train_on("none", settings, f"run-{number}")
        two = train_on("mirrored", settings, f"run-{number}")
        resumed = stop_and_resume(settings, f"resumed-{number}")
        histories = [read_history(run) for run in (one, two, resumed)]
        answer[kind] = {
            "epochs": [len(history) for history in histories],
            "difference": max(
                abs(a - b)
                for row, other in zip(*histories[:2], strict=True)
                for a, b in zip(row, other, strict=True)
            ),
            "same_history": histories[1] == histories[2],
            "same_weights": read_weights(two) == read_weights(resumed),
            "replicas": json.loads((two / "manifest.json").read_text())["hardware"]["replicas"],
        }
    print(json.dumps(answer))


main()
