"""Pretrained against random weights, on real data: is transfer learning what wins here?

Run: KFT_SHARED=../shared python benchmarks/transfer.py [--quick]

MobileNetV2 0.35 by its .h5 weights and by its TF Hub module. Each cell is
the median holdout accuracy over the seeds; seconds are of the whole run
without export, imports before, the median over seeds, features stored by no
earlier run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from measuring import call
from pictures import BACKBONE
from report import make_parser, median_cell, print_header, print_table, use_shared

SEEDS = (0, 1, 2)
# As given: `val` is the holdout of ants_bees, all of `train` trains. The hub module takes the one
# size that it was made for, which is the default of the other.
SETTINGS = {
    "ants_bees": ("data.folders.holdout=val",),
    "sign_digits": ("data.holdout=0.3", "backbone.input_size=160"),
    "cifar10": ("backbone.input_size=96",),
}
# A run takes minutes.
FEWER_SEEDS = {"cifar10": (0,)}


def main() -> None:
    """Print the table as Markdown."""
    asked = make_parser(__doc__).parse_args()
    shared = use_shared()
    hub = f"backbone.name=hub:{shared / 'hub/mobilenet_v2_035_224_feature_vector'}"
    duration = "strategy.duration=5 steps" if asked.quick else "strategy.duration=12 epochs"
    lp_ft = ("strategy.name=lp_ft", duration)
    variants = {
        "linear probe": (*BACKBONE, "strategy.name=linear_probe"),
        "LP-FT": (*BACKBONE, *lp_ft),
        "hub, linear probe": (hub, "strategy.name=linear_probe"),
        "hub, LP-FT": (hub, *lp_ft),
        "random weights, LP-FT": (*BACKBONE, "backbone.weights=random", *lp_ft),
    }
    seeds = SEEDS[:1] if asked.quick else SEEDS
    print_header("Transfer: pretrained against random weights", seeds)
    headings = ("data", "run", "holdout accuracy", "seconds")
    print_table(headings, measure(shared, variants, seeds))


def measure(
    shared: Path, variants: dict[str, tuple[str, ...]], seeds: Sequence[int]
) -> Iterator[tuple[str, ...]]:
    """The rows of the table, each as soon as it is there."""
    for data_name, of_data in SETTINGS.items():
        data = str(shared / "data/image" / data_name)
        for name, settings in variants.items():
            if "hub" in name and data_name != "ants_bees":
                continue
            runs = [
                call(
                    "own:train",
                    data=data,
                    settings=(*of_data, "data.validation=0", *settings),
                    seed=seed,
                )
                for seed in FEWER_SEEDS.get(data_name, seeds)
            ]
            yield (
                data_name,
                name,
                median_cell([run["accuracy"] for run in runs], 3),
                median_cell([run["seconds"] for run in runs], 0),
            )


if __name__ == "__main__":
    main()
