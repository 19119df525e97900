"""All strategies on three data sets; and, with --store, accuracy with and without the store.

Run: KFT_SHARED=../shared python benchmarks/strategies.py
     [--sets NAME …] [--strategies NAME …] [--seeds N …] [--store] [--quick]

MobileNetV2 0.35 at 160 px, the settings kft's defaults, but for 15 % of the
training pictures kept for validation, whatever the strategy: some choose by
it. Each run is a new process, with caches of its own that begin empty.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from bench import MODEL
from measuring import call
from pictures import DataSet, find_data_set
from report import make_parser, median_cell, print_header, print_section, print_table, use_shared

SETS = ("ants_bees", "sign_digits", "cifar10")
SEEDS = (0, 1, 2)
STRATEGIES = (
    "linear_probe",
    "top_k",
    "full",
    "lp_ft",
    "gradual",
    "surgical",
    "lora",
    "bitfit",
    "auto",
)
VALIDATION = "data.validation=0.15"
QUICK = ("strategy.duration=10 steps",)
STORE_SETS = ("ants_bees", "sign_digits")
# Pictures as they are: of augmented ones the store holds some views and shows them again.
STORE_PHASES = (
    "{name: head, trainable: [head], learning_rate: 3e-3, duration: 10}",
    "{name: deepest, trainable: [block16, tail, head], learning_rate: 1e-3, duration: 4}",
)
# The first is what the others are compared with.
STORES = {
    "no store": ("features.enabled=false",),
    "float32 by Keras": ("features.engine=keras", "features.dtype=float32"),
    "float32 by LiteRT": ("features.engine=litert", "features.dtype=float32"),
    "float16 by LiteRT": ("features.engine=litert", "features.dtype=float16"),
}


def main() -> None:
    """Print one table as Markdown."""
    parser = make_parser(__doc__)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--store", action="store_true", help="the table of the store instead")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        sets = {name: find_data_set(name, use_shared(), Path(scratch)) for name in asked.sets}
        (_show_store if asked.store else _show_strategies)(asked, sets, Path(scratch))


def _show_strategies(asked: argparse.Namespace, sets: dict[str, DataSet], _: Path) -> None:
    print_header("Strategies", asked.seeds, "15 % of the training pictures for validation")
    print_section(
        "Accuracy on the holdout, seconds, what trains",
        "Seconds are of the whole run without export, imports before; to the first step: from the",
        "start of the run to the end of the first step of each phase that has steps, of its first",
        "trial where it tries candidates. Traces: of the training step, most of any phase. Seconds",
        "and steps are medians over the seeds, parameters those that train in the largest phase.",
    )
    headings = ("data", "strategy", "accuracy", "seconds", "parameters", "to the first step, s")
    print_table((*headings, "traces"), measure_strategies(asked, sets))


def measure_strategies(
    asked: argparse.Namespace, sets: dict[str, DataSet]
) -> Iterator[tuple[str, ...]]:
    """A row for each data set and strategy, when it is there."""
    for data_set in sets.values():
        for strategy in asked.strategies:
            settings = (*MODEL, *data_set.settings, VALIDATION, f"strategy.name={strategy}")
            if asked.quick and strategy != "linear_probe":
                settings += QUICK
            data = str(data_set.folder)
            runs = [
                call("own:train", data=data, settings=settings, seed=seed) for seed in asked.seeds
            ]
            parameters = call("own:count_trainable", data=data, settings=settings)
            yield (
                data_set.name,
                strategy,
                median_cell([run["accuracy"] for run in runs], 3),
                median_cell([run["seconds"] for run in runs], 0),
                f"{parameters:,}",
                _first_steps(runs),
                str(max(phase["traces"] for run in runs for phase in run["phases"])),
            )


def _first_steps(runs: list[dict[str, Any]]) -> str:
    """Of each phase that has steps, in order."""
    by_phase = zip(*(run["phases"] for run in runs), strict=True)
    return ", ".join(
        f"{phases[0]['name']} {statistics.median(p['seconds_to_first_step'] for p in phases):.1f}"
        for phases in by_phase
        if phases[0]["steps"]
    )


def _show_store(asked: argparse.Namespace, sets: dict[str, DataSet], scratch: Path) -> None:
    print_header("Accuracy through the store", asked.seeds)
    print_section(
        "The same run with and without the store",
        "The head for 10 epochs, then block16, tail and head for 4, on pictures as they are.",
        "Accuracy on the holdout; the largest difference of any of its probabilities from the run",
        "without a store with the same seed. Allowed for float16: 0.005 of accuracy.",
    )
    headings = ("data", "store", "accuracy", "difference of accuracy", "of probabilities", "s")
    rows = (
        row
        for name in STORE_SETS
        if name in sets
        for row in measure_store(sets[name], asked.seeds, scratch)
    )
    print_table(headings, rows)


def measure_store(data_set: DataSet, seeds: list[int], scratch: Path) -> Iterator[tuple[str, ...]]:
    """A row for each kind of store, when it is there."""
    settings = (
        *MODEL,
        *data_set.settings,
        "data.validation=0",
        "data.image.augmentation=none",
        "strategy.name=phases",
        f"strategy.phases=[{', '.join(STORE_PHASES)}]",
    )
    alone: list[tuple[dict[str, Any], np.ndarray]] = []
    for name, of_store in STORES.items():
        found = [
            _run(data_set, (*settings, *of_store), seed, scratch / "outputs.npy") for seed in seeds
        ]
        computed_from = {phase["computed_from"] for run, _ in found for phase in run["phases"]}
        assert ("inputs" in computed_from) == (name == "no store"), computed_from
        alone = alone or found
        pairs = list(zip(found, alone, strict=True))
        accuracies = [run["accuracy"] for run, _ in found]
        gains = [run["accuracy"] - other["accuracy"] for (run, _), (other, _) in pairs]
        largest = max(np.abs(outputs - others).max() for (_, outputs), (_, others) in pairs)
        yield (
            data_set.name,
            name,
            median_cell(accuracies, 3),
            median_cell(gains, 3),
            f"{largest:.1e}",
            median_cell([run["seconds"] for run, _ in found], 0),
        )


def _run(
    data_set: DataSet, settings: tuple[str, ...], seed: int, path: Path
) -> tuple[dict[str, Any], np.ndarray]:
    run = call(
        "own:train",
        data=str(data_set.folder),
        settings=settings,
        seed=seed,
        outputs=str(path),
    )
    return run, np.load(path)


if __name__ == "__main__":
    main()
