"""The default strategy beside what it is made of: the old probe, the layered one, fine-tuning.

Run: KFT_SHARED=../shared python benchmarks/default.py [--sets NAME …] [--seeds N …] [--quick]

MobileNetV2 0.35 at 160 px, its real weights. ants_bees with val as the holdout;
sign_digits split 75/25 by class, anew for each seed; cifar10 with 20, 50 and 200
training pictures a class and its 1,000 test pictures. Of the training pictures
15 % are kept for validation. Each run is a new process, with caches of its own
that begin empty. The oracle is the best of the parts on the holdout, seed by
seed; the regret is what the default is below it.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import MODEL
from measuring import call
from pictures import DataSet, copy_part
from report import make_parser, print_header, print_section, print_table, use_shared

SEEDS = (0, 1, 2, 3, 4)
SETS = ("ants_bees", "sign_digits", "cifar10, 20 a class", "cifar10, 50 a class")
SETS += ("cifar10, 200 a class",)
PARTS = {
    "old probe": ("strategy.name=linear_probe", "strategy.probe_layers=last"),
    "layered probe": ("strategy.name=linear_probe",),
    "fine-tuned": ("strategy.name=lp_ft", "strategy.learning_rate=1e-3"),
    "default": ("strategy.name=auto",),
}
SHARED_SETTINGS = (*MODEL, "data.validation=0.15")


def main() -> None:
    """Print the table as Markdown."""
    parser = make_parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    asked = parser.parse_args()
    quick = ("strategy.duration=30 steps",) if asked.quick else ()
    print_header("The default and its parts", asked.seeds)
    print_section(
        "Accuracy on the holdout (median of the seeds), and seconds",
        "Asked for: a regret of at most 0.5 points in the mean, and 1.5 on any set.",
    )
    shared = use_shared()
    with tempfile.TemporaryDirectory() as scratch:
        sets = [find_set(name, shared, Path(scratch)) for name in asked.sets]
        headings = ("data", *PARTS, "oracle", "regret", "calibration error", "seconds of each")
        print_table(headings, measure(sets, asked.seeds, quick))


def find_set(name: str, shared: Path, scratch: Path) -> DataSet:
    """Find a data set, or make a smaller copy of it."""
    family, _, size = name.partition(", ")
    folder = shared / "data/image" / family
    if family == "ants_bees":
        return DataSet(name, folder, ("data.folders.holdout=val",))
    if family == "sign_digits":
        return DataSet(name, folder, ("data.holdout=0.25",))
    per_class = int(size.split()[0])
    return DataSet(name, copy_part(folder, scratch / str(per_class), per_class=per_class))


def measure(
    sets: list[DataSet], seeds: list[int], quick: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    """Measure a row for each data set."""
    for data_set in sets:
        found: dict[str, list[dict[str, Any]]] = {name: [] for name in PARTS}
        for seed in seeds:
            for name, part in PARTS.items():
                own = () if name.endswith("probe") else quick
                split = (f"data.split_seed={seed}",)
                settings = (*SHARED_SETTINGS, *data_set.settings, *split, *part, *own)
                found[name].append(
                    call("own:train", data=str(data_set.folder), settings=settings, seed=seed)
                )
        yield describe(data_set, found)


def describe(data_set: DataSet, found: dict[str, list[dict[str, Any]]]) -> tuple[str, ...]:
    """Make the row of a data set."""
    accuracies = {name: [run["accuracy"] for run in runs] for name, runs in found.items()}
    parts = [accuracies[name] for name in PARTS if name != "default"]
    oracle = [max(of_seed) for of_seed in zip(*parts, strict=True)]
    regret = [best - own for best, own in zip(oracle, accuracies["default"], strict=True)]
    seconds = (f"{statistics.median(r['seconds'] for r in runs):.0f}" for runs in found.values())
    errors = [run["calibration_error"] for run in found["default"]]
    return (
        data_set.name,
        *(f"{statistics.median(values):.3f}" for values in accuracies.values()),
        f"{statistics.median(oracle):.3f}",
        f"{100 * statistics.fmean(regret):.1f}",
        f"{statistics.median(errors):.3f}",
        ", ".join(seconds),
    )


if __name__ == "__main__":
    main()
