"""Pretrained against random weights, on real data: is transfer learning what wins here?

Run: KFT_SHARED=../shared python benchmarks/transfer.py

MobileNetV2 0.35 by its .h5 weights and by its TF Hub module. Each cell is
the median holdout accuracy over the seeds; seconds are of the whole run
without export, the median over seeds, features stored by no earlier run.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
from report import find_shared, print_header, print_table
from rich.console import Console

from kft.config import load_pipeline
from kft.training import Display
from kft.workflow import train

SEEDS = (0, 1, 2)
H5 = ("backbone.name=mobilenet_v2", "backbone.options.alpha=0.35")


@dataclass(frozen=True)
class DataSet:
    """A data set of the table.

    Attributes:
        name: Its folder below data/image.
        settings: How it is split.
        seeds: Fewer where a run takes minutes.
    """

    name: str
    settings: tuple[str, ...]
    seeds: tuple[int, ...] = SEEDS


DATA_SETS = (
    # As given: `val` is the holdout, all of `train` trains.
    DataSet("ants_bees", ("data.folders.holdout=val", "data.validation=0")),
    DataSet("sign_digits", ("data.holdout=0.3", "data.validation=0", "backbone.input_size=160")),
    DataSet(
        "cifar10", ("data.validation=0", "backbone.input_size=96"), seeds=(0,)
    ),
)  # fmt: skip


def main() -> None:
    """Print the table as Markdown."""
    shared = find_shared()
    os.environ["KFT_WEIGHTS_DIR"] = str(shared / "weights")
    hub = f"backbone.name=hub:{shared / 'hub/mobilenet_v2_035_224_feature_vector'}"
    variants = {
        "linear probe": (*H5, "strategy.name=linear_probe"),
        "LP-FT": (*H5, "strategy.name=lp_ft"),
        "hub, linear probe": (hub, "strategy.name=linear_probe"),
        "hub, LP-FT": (hub, "strategy.name=lp_ft"),
        "random weights, LP-FT": (*H5, "backbone.weights=random", "strategy.name=lp_ft"),
    }
    print_header("Transfer: pretrained against random weights", SEEDS)
    headings = ("data", "run", "holdout accuracy", "by seed", "seconds")
    print_table(headings, measure(shared, variants))


def measure(shared: Path, variants: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The rows of the table, each as soon as it is there."""
    for data_set in DATA_SETS:
        for name, settings in variants.items():
            # A hub module takes the one size that it was made for, that of ants_bees.
            if "hub" in name and data_set.name != "ants_bees":
                continue
            outcomes = [
                run(shared / "data/image" / data_set.name, (*data_set.settings, *settings), seed)
                for seed in data_set.seeds
            ]
            accuracies, seconds = zip(*outcomes, strict=True)
            yield (
                data_set.name,
                name,
                f"{statistics.median(accuracies):.3f}",
                ", ".join(f"{accuracy:.3f}" for accuracy in accuracies),
                f"{statistics.median(seconds):.0f}",
            )


def run(data: Path, settings: tuple[str, ...], seed: int) -> tuple[float, float]:
    """Holdout accuracy and seconds of one run, in folders that vanish."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["KFT_CACHE_DIR"] = f"{folder}/cache"
        own = (f"training.seed={seed}", "export.enabled=false", f"runs_directory={folder}/runs")
        pipeline = load_pipeline(str(data), (*settings, *own))
        begun = time.monotonic()
        with Path(os.devnull).open("w") as nowhere:
            finished = train(pipeline, Display(Console(file=nowhere)))
        seconds = time.monotonic() - begun
    keras.backend.clear_session()
    assert finished.evaluation is not None
    return finished.evaluation.figures["accuracy"], seconds


if __name__ == "__main__":
    main()
