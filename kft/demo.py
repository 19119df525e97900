"""The main job on real data that comes with a dependency: scikit-learn's handwritten digits."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from kft.config import PRETRAINING_OVERRIDES, load_pipeline
from kft.display import Display
from kft.errors import RunError
from kft.serving import ask_export
from kft.workflow import Finished, train

PICTURES_PER_CLASS = 20
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Mirrored digits are no digits; the few labelled ones all train.
SETTINGS = ("data.image.augmentation=none", "data.validation=0")
PRETRAINING = ("data.image.augmentation=light", "strategy.duration=20 epochs")
# One recipe for both: what differs is where the weights start.
FINE_TUNING = (
    "strategy.duration=30 epochs",
    "strategy.learning_rate=3e-3",
    "strategy.batch_norm=trainable",
)


@dataclass(frozen=True)
class Demo:
    """What the demonstration found.

    Attributes:
        fine_tuned: The run from the pretrained backbone.
        from_random: The run of the same network from random weights.
        served: File and the export's answer for it, from a process without kft.
        seconds: In all.
    """

    fine_tuned: Finished
    from_random: Finished
    served: list[tuple[str, str]]
    seconds: float


def run_demo(directory: Path, display: Display) -> Demo:
    """Pretrain on 0 to 4, fine-tune to 5 to 9, compare, export, serve.

    Raises:
        RunError: `directory` exists already.
    """
    if directory.exists():
        raise RunError(
            f"{directory}: exists already; the demo writes into a new folder only. "
            "Remove it, or choose another --directory."
        )
    begun = time.monotonic()
    display.stage(f"Writing handwritten digits as PNG files to {directory}")
    write_digits(directory)
    places = (
        override("runs_directory", directory / "runs"),
        override("export.directory", directory / "saved_models"),
    )

    display.stage("\nPretraining small_cnn on the digits 0 to 4")
    overrides = (*PRETRAINING_OVERRIDES, *SETTINGS, *PRETRAINING, *places)
    pretrained = train(
        load_pipeline(str(directory / "digits-0-to-4"), overrides), display, keep_backbone=True
    )

    target = str(directory / "digits-5-to-9")
    backbone = override("backbone.name", pretrained.backbone)
    display.stage(f"\nFine-tuning it to 5 to 9, with {PICTURES_PER_CLASS} pictures of each")
    fine_tuned = train(load_pipeline(target, (backbone, *SETTINGS, *FINE_TUNING, *places)), display)

    display.stage("\nThe same network from random weights")
    own = ("backbone.weights=random", "strategy.name=full", "export.enabled=false")
    from_random = train(
        load_pipeline(target, (backbone, *own, *SETTINGS, *FINE_TUNING, *places)), display
    )

    display.stage("\nAsking the export about PNG files, in a process without kft")
    assert fine_tuned.export is not None
    files = [next((directory / "digits-5-to-9/holdout" / name).iterdir()) for name in NAMES[5:]]
    answers = ask_export(fine_tuned.export.path, [str(file) for file in files])
    served = [
        (str(file), str(answer))
        for file, answer in zip(files, answers["top_class"].ravel(), strict=True)
    ]
    return Demo(fine_tuned, from_random, served, time.monotonic() - begun)


def override(path: str, value: object) -> str:
    """A setting as the command line takes it, quoted: a folder may have any name."""
    return f"{path}={json.dumps(str(value))}"


def write_digits(directory: Path) -> None:
    """The digits as PNG class folders: 0 to 4 in one data set, 5 to 9 split in another."""
    digits = load_digits()
    seen: dict[int, int] = dict.fromkeys(range(10), 0)
    for picture, digit in zip(digits.images, map(int, digits.target), strict=True):
        number = seen[digit]
        seen[digit] += 1
        if digit < 5:
            folder = directory / "digits-0-to-4" / NAMES[digit]
        else:
            split = "train" if number < PICTURES_PER_CLASS else "holdout"
            folder = directory / "digits-5-to-9" / split / NAMES[digit]
        folder.mkdir(parents=True, exist_ok=True)
        # Shades 0 to 16 -> 0 to 255, without wrapping at 16 x 16.
        shades = np.round(picture * (255 / 16)).astype(np.uint8)
        Image.fromarray(shades).save(folder / f"{number:03d}.png")
