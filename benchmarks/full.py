"""Full fine-tuning beside plain Keras's fit: a step, and what comes before the first one.

Run: KFT_SHARED=../shared python benchmarks/full.py [--models NAME …] [--repeats N] [--quick]

All blocks train, batch norm rests, batch 32, AdamW with clipped gradients,
warmup and cosine, light augmentation; random weights, which cost what others
do. f is the forward pass of a picture by the model's Keras graph, measured
here. Whatever is timed runs in a new process; kft and its peer take turns.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from measuring import alternate, call
from pictures import SIZE, copy_repeated
from report import (
    make_parser,
    median_cell,
    print_header,
    print_section,
    print_table,
    ratio_cell,
    use_shared,
)

# kft's name -> Keras's.
MODELS = {"mobilenet_v2": "MobileNetV2", "resnet50": "ResNet50"}
BATCH_SIZE = 32
NUM_PICTURES = 256
QUICK_PICTURES = 96
EPOCHS = 3
LEARNING_RATE = 1e-4


def main() -> None:
    """Print the table as Markdown."""
    parser = make_parser(__doc__)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    repeats, epochs = (1, 1) if asked.quick else (asked.repeats, EPOCHS)
    count = QUICK_PICTURES if asked.quick else NUM_PICTURES
    print_header("Full fine-tuning", (0,), f"{repeats} repeats: medians, and each in brackets")
    print_section(
        f"{count} photographs at {SIZE} px, {epochs} epochs",
        "Seconds of a step: the mean after the first. To the first step: from the first look at",
        "the files to its end, decoding and tracing inside, imports and backbone before. Keras:",
        "decoded pictures cached, light augmentation by its own layers, no XLA.",
    )
    headings = ("model", "f, ms", "", "step, s", "of Keras's", "step, f a picture")
    with tempfile.TemporaryDirectory() as scratch:
        source = use_shared() / "data/image/ants_bees/train"
        data = copy_repeated(source, Path(scratch), count=count)
        rows = measure(data, asked.models, epochs=epochs, repeats=repeats)
        print_table((*headings, "to the first step, s", "traces"), rows)


def measure(
    data: Path, models: list[str], *, epochs: int, repeats: int
) -> Iterator[tuple[str, ...]]:
    """The rows of the table, those of a model when they are there."""
    for model in models:
        settings = _settings(model, epochs)
        found = alternate(
            {
                "limit": partial(call, "limits:measure", data=str(data), settings=settings),
                "kft": partial(call, "own:train", data=str(data), settings=settings),
                "plain Keras": partial(
                    call,
                    "plain:train",
                    data=str(data),
                    architecture=MODELS[model],
                    options={"weights": None},
                    size=SIZE,
                    epochs=epochs,
                    trainable=None,
                    augmentation=True,
                    optimizer="adamw",
                    learning_rate=LEARNING_RATE,
                ),
            },
            repeats,
        )
        forward = [limit["forward"] for limit in found.pop("limit")]
        peer = [run["step_seconds"] for run in found["plain Keras"]]
        for name, runs in found.items():
            yield model, median_cell(forward, 2), name, *_describe(runs, peer, forward)


def _describe(
    runs: list[dict[str, Any]], peer: list[float], forward: list[float]
) -> tuple[str, ...]:
    steps = [run["step_seconds"] for run in runs]
    in_forwards = [step * 1e3 / BATCH_SIZE / one for step, one in zip(steps, forward, strict=True)]
    return (
        median_cell(steps, 3),
        ratio_cell(steps, peer),
        median_cell(in_forwards, 2),
        median_cell([_first_step(run) for run in runs]),
        f"{statistics.median(_phase(run)['traces'] for run in runs):g}",
    )


def _first_step(run: dict[str, Any]) -> float:
    # kft's clock starts before it loads the backbone.
    return _phase(run)["seconds_to_first_step"] - run.get("load_seconds", 0.0)


def _phase(run: dict[str, Any]) -> dict[str, Any]:
    """The one phase of kft; the peer knows none."""
    return run["phases"][0] if "phases" in run else run


def _settings(model: str, epochs: int) -> tuple[str, ...]:
    return (
        f"backbone.name={model}",
        "backbone.weights=random",
        f"backbone.input_size={SIZE}",
        "data.validation=0",
        "data.holdout=0",
        "strategy.name=full",
        "strategy.batch_norm=frozen",
        f"strategy.learning_rate={LEARNING_RATE}",
        f"strategy.duration={epochs} epochs",
        f"training.global_batch_size={BATCH_SIZE}",
    )


if __name__ == "__main__":
    main()
