"""Masks: kft beside DeepLabV3+ of keras.io with the same backbone, for the same minutes.

Run: KFT_SHARED=../shared python benchmarks/dense.py [--quick]

CamVid as given: 24 pictures to train, 6 to choose and 12 to judge, 11 classes,
at 256 pixels, MobileNetV2 0.35 with pretrained weights. The peer trains until
the seconds of kft's longest run are over. Seconds are of everything but imports.
"""

from __future__ import annotations

from collections.abc import Iterator

from measuring import call
from pictures import BACKBONE, WEIGHTS
from report import make_parser, print_header, print_table, use_shared

SIZE, VOID = 256, 11
CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree"),
    *("sign", "fence", "car", "pedestrian", "bicyclist"),
)
DATA = (
    "data.target=mask",
    f"data.masks.void={VOID}",
    f"data.masks.class_names=[{','.join(CLASSES)}]",
    f"backbone.input_size={SIZE}",
    "training.global_batch_size=8",
    "data.image.augmentation=medium",
)
VARIANTS = {
    "kft, 1 x 1 convolution, solved": ("strategy.name=linear_probe", "head.decoder=linear"),
    "kft, LR-ASPP on stored levels": (
        "strategy.name=linear_probe",
        "strategy.probe_duration=60 epochs",
    ),
    "kft, LR-ASPP, LP-FT": (
        "strategy.name=lp_ft",
        "strategy.probe_duration=30 epochs",
        "strategy.duration=30 epochs",
    ),
}


def main() -> None:
    """Print the table as Markdown."""
    asked = make_parser(__doc__)
    asked.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    given = asked.parse_args()
    shared = use_shared()
    print_header("Masks: beside DeepLabV3+ of keras.io", (0,))
    headings = ("run", "mean IoU", "95 % interval", "seconds")
    print_table(headings, measure(str(shared), given.only, given.quick))


def measure(shared: str, names: list[str], is_quick: bool) -> Iterator[tuple[str, ...]]:
    """The rows of the table, each as soon as it is there."""
    data = f"{shared}/data/segmentation/camvid"
    longest = 0.0
    for name in names:
        settings = [*BACKBONE, *DATA, *VARIANTS[name]]
        if is_quick:
            settings = [each.replace("0 epochs", " epochs") for each in settings]
        run = call("own_masks:train", data=data, settings=settings)
        longest = max(longest, run["seconds"])
        low, high = run["interval"]
        yield name, f"{run['mean_iou']:.3f}", f"{low:.3f} to {high:.3f}", f"{run['seconds']:.0f}"
    peer = call(
        "plain_masks:train",
        data=data,
        options={"alpha": 0.35, "weights": f"{shared}/weights/{WEIGHTS}"},
        size=SIZE,
        seconds=longest,
        void=VOID,
        num_classes=len(CLASSES),
    )
    label = f"DeepLabV3+ of keras.io, {peer['epochs']} epochs"
    yield label, f"{peer['mean_iou']:.3f}", "", f"{peer['seconds']:.0f}"


if __name__ == "__main__":
    main()
