"""Runs that are killed at random moments, resumed, and compared with an undisturbed one.

Run: python benchmarks/faults.py [--kinds NAME …] [--points N] [--seed N] [--quick]

SIGKILL, to `kft train` and to what it started, at a random moment between the
first look at the data and the evaluation; a third of the resumed runs is
killed once more. Bit-identical: the saved weights, each history.csv, and the
figures on the holdout are those of the undisturbed run, byte for byte. The
pictures are made here; the backbone is small_cnn with weights of its own.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from report import make_parser, print_header, print_table

SETTINGS = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=64",
    "training.global_batch_size=16",
    "training.checkpoint_every=3 steps",
    "export.enabled=false",
)
KINDS = {
    "a probe on the store": (
        "strategy.name=linear_probe",
        "strategy.probe=trained",
        "strategy.probe_duration=40",
        "head.dropout=0.3",
        "data.image.augmentation=light",
        "features.views=4",
        # Which engine is the fastest is measured anew where nothing is stored yet.
        "features.engine=keras",
    ),
    "the last block": (
        "strategy.name=top_k",
        "strategy.top_blocks=1",
        "strategy.duration=8",
        "head.dropout=0.3",
        "data.image.augmentation=light",
        "features.views=0",
        "features.augmented_prefix=compute",
    ),
    "all blocks": (
        "strategy.name=full",
        "strategy.duration=6",
        "head.dropout=0.3",
        "data.image.augmentation=light",
        "training.mixup=0.2",
        "training.ema=0.9",
    ),
}
CLASSES = 3
PER_CLASS = 60


@dataclass(frozen=True)
class Outcome:
    """What became of the runs of one kind.

    Attributes:
        killed: Processes that were killed, at least one of each run.
        within_phase: Of the resumed, those that went on within a phase.
        identical: Runs that ended as the undisturbed one.
    """

    killed: int
    within_phase: int
    identical: int


def main() -> None:
    """Print the table as Markdown."""
    parser = make_parser(__doc__)
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS))
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    points = 1 if asked.quick else asked.points
    print_header("Faults: SIGKILL at random moments", (asked.seed,), "checkpoints every 3 steps")
    headings = ("kind", "runs", "killed", "resumed within a phase", "bit-identical")
    are_identical = True

    def rows() -> Iterator[tuple[str, ...]]:
        nonlocal are_identical
        for kind, outcome in measure(asked.kinds, points, asked.seed):
            are_identical &= outcome.identical == points
            counts = (points, outcome.killed, outcome.within_phase)
            yield kind, *map(str, counts), f"{outcome.identical} of {points}"

    print_table(headings, rows())
    sys.exit(0 if are_identical else 1)


def measure(kinds: Sequence[str], points: int, seed: int) -> Iterator[tuple[str, Outcome]]:
    """An outcome for each kind."""
    with tempfile.TemporaryDirectory() as folder:
        data = make_pictures(Path(folder, "pictures"))
        for kind in kinds:
            place = Path(folder, kind.replace(" ", "-"))
            place.mkdir()
            yield kind, kill_and_compare(data, place, KINDS[kind], points, seed)


def make_pictures(folder: Path) -> Path:
    """Noise of a colour for each class, hard enough that not all is learned at once."""
    for label in range(CLASSES):
        (folder / str(label)).mkdir(parents=True)
        for number in range(PER_CLASS):
            noise = np.random.default_rng([label, number]).normal(0, 70, (64, 64, 3))
            colour = 100 + 40 * np.eye(3)[label]
            pixels = np.clip(colour + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / str(label) / f"{number}.png")
    return folder


def kill_and_compare(
    data: Path, place: Path, settings: Sequence[str], points: int, seed: int
) -> Outcome:
    """Run once undisturbed, then as often as asked with kills."""
    drawn = random.Random(seed)
    begun = ["train", str(data), *SETTINGS, *settings]
    run(place, [*begun, "--run-id", "first"])
    # With what the first one stored, as those that will be killed; and equal to it.
    lasted, _ = run(place, [*begun, "--run-id", "whole"])
    expected = digest(place / "runs/pictures/whole")
    assert expected == digest(place / "runs/pictures/first"), "one seed, two results"
    killed = within = identical = 0
    for point in range(points):
        is_killed, names = False, (f"killed-{point}-{attempt}" for attempt in itertools.count())
        while not is_killed:
            # One that was faster than the moment drawn proves nothing.
            path = place / "runs/pictures" / next(names)
            _, is_killed = run(place, [*begun, "--run-id", path.name], drawn.uniform(0, lasted))
        killed += 1
        # The kill may come in the last moments, when all is done.
        while is_killed and '"finished"' not in (path / "status.json").read_text():
            again = drawn.uniform(0, lasted) if drawn.random() < 1 / 3 else None
            within += any(path.glob("checkpoints/*-step"))
            _, is_killed = run(place, ["train", "--resume", str(path)], again)
            killed += is_killed
        identical += digest(path) == expected
    return Outcome(killed, within, identical)


def run(
    place: Path, arguments: Sequence[str], kill_after: float | None = None
) -> tuple[float, bool]:
    """Seconds from the first look at the data to the evaluation, and whether it was killed."""
    kft = str(Path(sys.executable).with_name("kft"))
    environment = {**os.environ, "KFT_CACHE_DIR": str(place / "cache")}
    process = subprocess.Popen(
        [kft, *arguments],
        cwd=place,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    first = last = 0.0
    for line in process.stderr:
        said.append(line)
        if line.startswith("Data: "):
            first = time.monotonic()
            if kill_after is not None:
                try:
                    process.wait(kill_after)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return 0.0, True
        if line.startswith("Evaluation") and not last:
            last = time.monotonic()
    if process.wait():
        raise SystemExit(
            f"kft {' '.join(arguments)}: exit code {process.returncode}\n{''.join(said)}"
        )
    return last - first, False


def digest(run_folder: Path) -> str:
    """Of the weights, the histories and the figures of a run."""
    whole = hashlib.sha256()
    with zipfile.ZipFile(run_folder / "model.keras") as model:
        whole.update(model.read("model.weights.h5"))
    for path in sorted(run_folder.glob("phases/*/history.csv")):
        whole.update(path.read_bytes())
    whole.update((run_folder / "evaluation/holdout/metrics.json").read_bytes())
    return whole.hexdigest()


if __name__ == "__main__":
    main()
