"""Boxes: what pretrained weights bring, and what stored feature maps save.

Run: KFT_SHARED=../shared python benchmarks/boxes.py [--quick] [--only NAME ...]

Blood cells as given: 205 pictures to train, 87 to choose and 72 to judge, three
classes, at 320 pixels with the aspect kept, MobileNetV2 0.35. Seconds are of
everything but imports; those of a step are of the last phase, without its first.
"""

from __future__ import annotations

from collections.abc import Iterator

from measuring import call
from pictures import BACKBONE
from report import make_parser, print_header, print_table, use_shared

DATA = (
    "backbone.input_size=320",
    "data.image.resize=pad",
    "data.image.augmentation=light",
    "training.global_batch_size=8",
)
PROBE = ("strategy.probe_learning_rate=0.003", "strategy.probe_duration=20 epochs")
TUNED = ("strategy.learning_rate=0.001", "strategy.duration=40 epochs")
VARIANTS = {
    "head alone, stored maps": ("strategy.name=linear_probe", *PROBE),
    "head alone, maps computed in every step": (
        "strategy.name=linear_probe",
        "strategy.probe_duration=2 epochs",
        "features.enabled=false",
    ),
    "head, then all (pipelines/detection.yaml)": ("strategy.name=lp_ft", *PROBE, *TUNED),
    "all, from random weights": ("strategy.name=full", "backbone.weights=random", *TUNED),
}


def main() -> None:
    """Print the table as Markdown."""
    asked = make_parser(__doc__)
    asked.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    given = asked.parse_args()
    shared = use_shared()
    print_header("Boxes: pretrained weights, and stored feature maps", (0,))
    headings = ("run", "AP50", "95 % interval", "AP", "seconds", "seconds per step")
    print_table(headings, measure(f"{shared}/data/detection/blood_cells", given.only, given.quick))


def measure(data: str, names: list[str], is_quick: bool) -> Iterator[tuple[str, ...]]:
    """The rows of the table, each as soon as it is there."""
    for name in names:
        settings = [*BACKBONE, *DATA, *VARIANTS[name]]
        if is_quick:
            settings = [each.replace("0 epochs", " epochs") for each in settings]
        run = call("own_boxes:train", data=data, settings=settings)
        figures = run["figures"]
        low, high = figures["intervals_95_percent"]["average_precision_50"]
        yield (
            name,
            f"{figures['average_precision_50']:.3f}",
            f"{low:.3f} to {high:.3f}",
            f"{figures['average_precision']:.3f}",
            f"{run['seconds']:.0f}",
            f"{run['step_seconds']:.2f}",
        )


if __name__ == "__main__":
    main()
