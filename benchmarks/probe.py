"""The linear probe as a whole: beside plain Keras, scikit-learn's search, and a bare script.

Run: KFT_SHARED=../shared python benchmarks/probe.py [--only PART …] [--repeats N] [--quick]

MobileNetV2 0.35 at 160 px. Whatever is timed runs in a new process, with
caches of its own that begin empty; kft and its peer take turns.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bench import PROBE, Bench, Given, compare, run_parts
from measuring import alternate, call, run_command
from pictures import SIZE, find_data_set
from report import median_cell, print_section, print_table, ratio_cell


def main() -> None:
    """Print the tables as Markdown."""
    parts = {"keras": show_beside_keras, "solution": show_solution, "command": show_command}
    run_parts(__doc__, "Linear probe", parts)


def show_beside_keras(bench: Bench) -> None:
    """A solved probe, and 20 epochs of the head's training on a backbone in every step."""
    epochs = 2 if bench.is_quick else 20
    print_section(
        f"Linear probe beside plain Keras, {epochs} epochs",
        "Seconds from the first look at the files to the head; the backbone is loaded before.",
        "Keras: frozen backbone, decoded pictures cached, Adam 1e-3, dropout 0.2, no augmentation,",
        "no XLA. Asked for: a tenth of its seconds, no less accuracy on the holdout.",
    )
    rows = (row for given in bench.sets() for row in _measure_beside_keras(bench, given, epochs))
    print_table(("data", "", "seconds", "of Keras's", "accuracy"), rows)


def _measure_beside_keras(bench: Bench, given: Given, epochs: int) -> Iterator[tuple[str, ...]]:
    settings = (*PROBE, *given.settings)
    found = alternate(
        {
            "kft": partial(call, "own:train", data=str(given.folder), settings=settings),
            "plain Keras": partial(bench.plain, given, epochs=epochs),
        },
        bench.repeats,
    )
    yield from compare(given, found)


def show_solution(bench: Bench) -> None:
    """Without data and features, scikit-learn's search over the same penalties beside it."""
    data = find_data_set("cifar10", bench.shared, bench.scratch).folder / "train"
    path = str(bench.scratch / "features.npz")
    shape = call("solutions:extract", data=str(data), options=bench.options, size=SIZE, path=path)
    print_section(
        f"The solution alone: {shape[0]} examples of {shape[1]} features, 10 classes (cifar10)",
        "Seconds with the features in memory, the cross-validation (five folds) inside. The search",
        "(LogisticRegressionCV, all cores) tries the penalties that kft tried. Allowed: 3 s.",
    )
    own = [call("solutions:solve_by_kft", path=path) for _ in range(bench.repeats)]
    # Of an hour's worth of seconds one repeat tells enough.
    penalties = own[0]["penalties"][:2] if bench.is_quick else own[0]["penalties"]
    peer = call("solutions:solve_by_scikit_learn", path=path, penalties=penalties)
    seconds = [run["seconds"] for run in own]
    print_table(
        ("", "seconds", "of scikit-learn's", "penalties", "cross-validated accuracy"),
        (
            (
                "kft",
                median_cell(seconds, 2),
                ratio_cell(seconds, [peer["seconds"]] * len(seconds)),
                str(len(own[0]["penalties"])),
                f"{own[0]['score']:.3f}",
            ),
            (
                "scikit-learn",
                f"{peer['seconds']:.1f}",
                "1.00",
                str(len(penalties)),
                f"{peer['score']:.3f}",
            ),
        ),
    )


def show_command(bench: Bench) -> None:
    """All of `kft train`, beside a script that does the least."""
    print_section(
        "The command: `kft train` with a probe (ants_bees as given)",
        "Wall seconds of a process from start to end, imports included: kft checks files, records",
        "the run, chooses the penalty, saves the model and judges the holdout; export is off. The",
        "bare script (bare_probe.py) extracts features, calls LogisticRegression once, and judges",
        "the holdout. Allowed: 1.3 of its seconds.",
    )
    script = Path(__file__).with_name("bare_probe.py")
    folders = [str(bench.ants_bees / split) for split in ("train", "val")]
    bare = [sys.executable, str(script), *folders, bench.options["weights"]]
    own = [str(Path(sys.executable).with_name("kft")), "train", str(bench.ants_bees), *PROBE]
    own += ["data.folders.holdout=val", "export.enabled=false"]
    found = alternate(
        {
            "kft train": partial(_time_command, bench, own),
            "bare": partial(_time_command, bench, bare),
        },
        bench.repeats,
    )
    rows = [
        (name, median_cell(seconds, 2), ratio_cell(seconds, found["bare"]))
        for name, seconds in found.items()
    ]
    print_table(("", "seconds", "of the bare script's"), rows)


def _time_command(bench: Bench, command: Sequence[str]) -> float:
    with tempfile.TemporaryDirectory(dir=bench.scratch) as folder:
        own = [f"runs_directory={folder}/runs"] if "train" in command else []
        return run_command([*command, *own], cache=Path(folder, "cache")).seconds


if __name__ == "__main__":
    main()
