"""What the benchmarks of the frozen part have in common: the model, the peer, the limit."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import call
from pictures import BACKBONE, SIZE, WEIGHTS, Given, find_data_set
from report import (
    make_parser,
    median_cell,
    print_header,
    ratio_cell,
    use_shared,
)

MODEL = (*BACKBONE, f"backbone.input_size={SIZE}")
PROBE = (*MODEL, "strategy.name=linear_probe", "data.validation=0")


@dataclass(frozen=True)
class Bench:
    """What the parts have in common.

    Attributes:
        shared: Real data and weights.
        scratch: For copies and caches; vanishes.
        repeats: Of each measurement.
        is_quick: Whether less of everything will do.
    """

    shared: Path
    scratch: Path
    repeats: int
    is_quick: bool

    @property
    def ants_bees(self) -> Path:
        """Given as train and val."""
        return self.shared / "data/image/ants_bees"

    @property
    def options(self) -> dict[str, Any]:
        """Of the peer's MobileNetV2."""
        return {"alpha": 0.35, "weights": str(self.shared / "weights" / WEIGHTS)}

    def sets(self) -> Iterator[Given]:
        """A small set, where what comes before the first step tells, and one eight times larger."""
        yield Given("ants_bees", self.ants_bees, "val")
        if not self.is_quick:
            cifar10 = find_data_set("cifar10", self.shared, self.scratch / "sets")
            yield Given("cifar10, 200 a class", cifar10.folder, "holdout")

    def plain(self, given: Given, **settings: Any) -> dict[str, Any]:
        """The peer."""
        return call(
            "plain:train",
            data=str(given.folder / "train"),
            holdout=str(given.folder / given.holdout),
            options=self.options,
            size=SIZE,
            **settings,
        )


def run_parts(
    docstring: str | None, title: str, parts: Mapping[str, Callable[[Bench], None]]
) -> None:
    """The command line of a script whose parts each print a table."""
    parser = make_parser(docstring)
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        repeats = 1 if asked.quick else asked.repeats
        bench = Bench(use_shared(), Path(scratch), repeats, asked.quick)
        print_header(title, (0,), f"{repeats} repeats: medians, and each of them in brackets")
        for part in asked.only:
            parts[part](bench)


def limit_seconds(found: Mapping[str, float], count: int, views: int = 1) -> float:
    """N V (D + f), of what `limits.measure` found."""
    return count * views * (found["decode"] + found["forward"]) / 1e3


def compare(given: Given, found: dict[str, list[dict[str, Any]]]) -> Iterator[tuple[str, ...]]:
    """Rows: data, name, seconds, those in units of plain Keras's, accuracy."""
    peer = [run["fit_seconds"] for run in found["plain Keras"]]
    for name, runs in found.items():
        seconds = [run["fit_seconds"] for run in runs]
        accuracies = [run["accuracy"] for run in runs]
        yield (
            given.name,
            name,
            median_cell(seconds, 2),
            ratio_cell(seconds, peer),
            median_cell(accuracies, 3),
        )
