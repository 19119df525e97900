"""The frozen part of a model, computed once: beside its limit, and beside computing it anew.

Run: KFT_SHARED=../shared python benchmarks/features.py [--only PART …] [--repeats N] [--quick]

MobileNetV2 0.35 at 160 px. D is the time to read a picture, f the forward pass
of its Keras graph, both measured here, both with all cores; N pictures in V
views take N V (D + f) at least. Whatever is timed runs in a new process, with
caches of its own that begin empty; kft and its peer take turns.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from bench import MODEL, PROBE, Bench, Given, compare, limit_seconds, run_parts
from measuring import alternate, call
from pictures import copy_part, copy_together
from report import median_cell, print_section, print_table, ratio_cell

EPOCHS = 10
VIEWS = 4
BLOCK = (*MODEL, f"features.views={VIEWS}")
# One phase from the first weights, so that it is one and the same work for both.
BLOCK_ALONE = (
    *BLOCK,
    "strategy.name=phases",
    f"strategy.phases=[{{trainable: [tail, head], learning_rate: 1e-3, duration: {EPOCHS}}}]",
)
BLOCK_AFTER_PROBE = (*BLOCK, "strategy.name=top_k", f"strategy.duration={EPOCHS}")
# The layers of MobileNetV2 that kft's block `tail` is made of and that have weights.
TAIL = ("Conv_1", "Conv_1_bn")


def main() -> None:
    """Print the tables as Markdown."""
    parts = {"probe": show_probe, "engines": show_engines, "block": show_block}
    run_parts(__doc__, "Features: what is frozen is computed once", parts)


def show_probe(bench: Bench) -> None:
    """Against the limit, and against itself the second time."""
    sources = (bench.ants_bees / "train", bench.ants_bees / "val")
    data = copy_together(sources, bench.scratch / "together")
    count = sum(1 for _ in data.rglob("*.*"))
    print_section(
        f"Linear probe of {count} pictures (ants_bees, train and val together)",
        "Seconds from the first look at the files to the solved head, its penalty cross-validated;",
        "imports and the loading of the backbone are before. The second run is another process",
        "with the caches of the first. Allowed: 1 / 0.90 of the limit; features of a second run",
        "0.05 of the first.",
    )
    rows = []
    for engine in ("keras", "auto"):
        found = alternate(
            {
                "limit": partial(call, "limits:measure", data=str(data), settings=MODEL),
                "probe": partial(_probe_twice, bench, data, engine),
            },
            bench.repeats,
        )
        limits = [limit_seconds(limit, count) for limit in found["limit"]]
        first, second = zip(*found["probe"], strict=True)
        features = [run["features_seconds"] for run in first]
        again = [run["features_seconds"] for run in second]
        rows.append(
            (
                engine,
                median_cell([limit["decode"] for limit in found["limit"]], 2),
                median_cell([limit["forward"] for limit in found["limit"]], 2),
                median_cell(limits, 2),
                median_cell([run["fit_seconds"] for run in first], 2),
                ratio_cell([run["fit_seconds"] for run in first], limits),
                median_cell(features, 2),
                ratio_cell(again, features),
            )
        )
    headings = ("engine", "D, ms", "f, ms", "N (D + f), s", "probe, s", "probe / limit")
    print_table((*headings, "features, s", "second run / first"), rows)


def _probe_twice(bench: Bench, data: Path, engine: str) -> tuple[dict[str, Any], dict[str, Any]]:
    settings = (*PROBE, "data.holdout=0", f"features.engine={engine}")
    with tempfile.TemporaryDirectory(dir=bench.scratch) as cache:
        first, second = (
            call("own:train", cache=Path(cache), data=str(data), settings=settings)
            for _ in range(2)
        )
    return first, second


def show_engines(bench: Bench) -> None:
    """Where the fast ones pay."""
    per_class = 20 if bench.is_quick else 500
    source = bench.shared / "data/image/cifar10"
    data = copy_part(source, bench.scratch / "many", per_class=per_class) / "train"
    count = 10 * per_class
    print_section(
        f"Engines: linear probe of {count} pictures (cifar10's)",
        "Seconds as above: converting the model is inside, and so are reading and",
        "solving. Allowed: 1 / 0.90 of the limit N (D + f) for `keras`, 0.7 of that for `auto`.",
    )
    names = ("keras", "auto", "litert")
    if importlib.util.find_spec("openvino") is not None:
        names += ("openvino",)
    limit = partial(call, "limits:measure", data=str(data), settings=MODEL)
    runs = {
        name: partial(
            call,
            "own:train_if_allowed",
            data=str(data),
            settings=(*PROBE, "data.holdout=0", f"features.engine={name}"),
        )
        for name in names
    }
    found = alternate({"limit": limit, **runs}, bench.repeats)
    limits = [limit_seconds(limit, count) for limit in found["limit"]]
    rows = [("limit", median_cell(limits), "1.00", "", "")]
    for name in names:
        refused = [run["refused"] for run in found[name] if "refused" in run]
        if refused:
            rows.append((name, "", "", "", f"refused: {refused[0]}"))
            continue
        seconds = [run["fit_seconds"] for run in found[name]]
        features = [run["features_seconds"] for run in found[name]]
        used = ", ".join(sorted({note for run in found[name] for note in run["computed"]}))
        rows.append(
            (name, median_cell(seconds), ratio_cell(seconds, limits), median_cell(features), used)
        )
    print_table(("engine", "seconds", "of the limit", "features, s", "computed"), rows)


def show_block(bench: Bench) -> None:
    """Ten epochs over four stored views."""
    print_section(
        f"Last block: {EPOCHS} epochs, {VIEWS} views",
        "Seconds from the first look at the files to the last step; the backbone is loaded before.",
        "Block `tail` and the head train, batch norm rests, AdamW 1e-3. Keras: the same layers,",
        "light augmentation by its own layers anew in each epoch, decoded pictures cached, no XLA.",
        "Allowed: 1 / 0.80 of the limit N V (D + f), and 1 / 2.5 = 0.40 of Keras's seconds.",
    )
    rows = (row for given in bench.sets() for row in _measure_block(bench, given))
    print_table(("data", "", "seconds", "of Keras's", "accuracy", "of the limit"), rows)


def _measure_block(bench: Bench, given: Given) -> Iterator[tuple[str, ...]]:
    data = str(given.folder)
    alone, after_probe = (
        partial(call, "own:train", data=data, settings=(*given.settings, *settings))
        for settings in (BLOCK_ALONE, BLOCK_AFTER_PROBE)
    )
    found = alternate(
        {
            "limit": partial(call, "limits:measure", data=data, settings=(*MODEL, *given.settings)),
            "kft": alone,
            "kft, a probe before": after_probe,
            "plain Keras": partial(
                bench.plain,
                given,
                epochs=EPOCHS,
                trainable=TAIL,
                augmentation=True,
                optimizer="adamw",
            ),
        },
        bench.repeats,
    )
    limits = [limit_seconds(limit, given.num_pictures, VIEWS) for limit in found.pop("limit")]
    yield given.name, "limit", median_cell(limits, 2), "", "", "1.00"
    for runs, row in zip(found.values(), compare(given, found), strict=True):
        yield *row, ratio_cell([run["fit_seconds"] for run in runs], limits)


if __name__ == "__main__":
    main()
