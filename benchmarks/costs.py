"""What it costs that a run can be resumed, and that it can be repeated to the last bit.

Run: KFT_SHARED=../shared python benchmarks/costs.py [--repeats N] [--quick]

`kft train` on ants_bees with MobileNetV2 0.35: a probe on the store, and all
blocks, each as it is by default, without checkpoints within phases, and
without determinism, in turns. Milliseconds are of a step, the first one left
out, validation and checkpoints in; ratios are of medians.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from measuring import run_command
from pictures import BACKBONE
from report import make_parser, median_cell, print_header, print_table, use_shared

PHASES: Mapping[str, Sequence[str]] = {
    "a probe on the store": (
        "strategy.name=linear_probe",
        "strategy.probe=trained",
        "strategy.probe_duration=800",
        "data.image.augmentation=light",
        "features.views=4",
        "features.engine=keras",
    ),
    "all blocks": ("strategy.name=full", "strategy.duration=6", "data.image.augmentation=light"),
}
QUICK = {
    "a probe on the store": "strategy.probe_duration=20",
    "all blocks": "strategy.duration=1",
}
WAYS: Mapping[str, Sequence[str]] = {
    "as by default": (),
    "no checkpoints": ("training.checkpoint_every=never",),
    "not deterministic": ("training.deterministic=false",),
}


def main() -> None:
    """Print the table as Markdown."""
    parser = make_parser(__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    repeats = 1 if asked.quick else asked.repeats
    print_header("Costs of resuming and of determinism", (0,), f"{repeats} repeats, in turns")
    headings = ("phase", "way", "ms a step", "default / this way")
    print_table(headings, measure(repeats, use_shared(), is_quick=asked.quick))


def measure(repeats: int, shared: Path, *, is_quick: bool) -> Iterator[tuple[str, ...]]:
    """A row for each phase and way."""
    data = shared / "data/image/ants_bees"
    for phase, settings in PHASES.items():
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        with tempfile.TemporaryDirectory() as folder:
            for repeat in range(repeats):
                for way, own in WAYS.items():
                    runs = Path(folder, f"{way}-{repeat}".replace(" ", "-"))
                    shorter = (QUICK[phase],) if is_quick else ()
                    train(data, runs, (*settings, *own, *shorter), cache=Path(folder, "cache"))
                    found[way].append(read_step(runs))
        default = median(found["as by default"])
        for way, milliseconds in found.items():
            ratio = f"{default / median(milliseconds):.2f}"
            yield phase, way, median_cell(milliseconds, 2), ratio


def train(data: Path, runs: Path, settings: Sequence[str], *, cache: Path) -> None:
    """One run."""
    kft = str(Path(sys.executable).with_name("kft"))
    common = (*BACKBONE, "export.enabled=false", f"runs_directory={runs}")
    run_command([kft, "train", str(data), *common, *settings], cache=cache)


def read_step(runs: Path) -> float:
    """Milliseconds of a step of the last phase."""
    (*_, path) = sorted(runs.glob("*/*/phases/*/phase.json"))
    phase = json.loads(path.read_text())
    seconds = phase["seconds"] - phase["first_step_seconds"]
    return 1e3 * seconds / (phase["steps_done"] - 1)


if __name__ == "__main__":
    main()
