"""A demonstration of pretraining, fine-tuning and serving on scikit-learn's handwritten digits."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from kft.config import PRETRAINING_OVERRIDES, load_pipeline
from kft.display import Display
from kft.errors import RunError

if TYPE_CHECKING:
    from kft.workflow import Finished

PICTURES_PER_CLASS = 20
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Mirroring would change digits; all of the few labelled ones are needed for training.
SETTINGS = ("data.image.augmentation=none", "data.validation=0")
PRETRAINING = ("data.image.augmentation=light", "strategy.duration=20 epochs")
# One recipe for both runs, which differ in their initial weights only.
FINE_TUNING = (
    "strategy.duration=30 epochs",
    "strategy.learning_rate=3e-3",
    "strategy.batch_norm=trainable",
)


@dataclass(frozen=True)
class Demo:
    """Results of the demonstration.

    Attributes:
        fine_tuned: The run from the pretrained backbone.
        from_random: The run of the same network from random weights.
        served: Files and the export's answers for them, from a process without kft.
        seconds: Duration of the demonstration.
    """

    fine_tuned: Finished
    from_random: Finished
    served: list[tuple[str, str]]
    seconds: float


def run_demo(directory: Path, display: Display) -> Demo:
    """Pretrain on the digits 0 to 4, fine-tune on 5 to 9, compare, export and serve.

    Args:
        directory: Folder to create for data, runs and export.
        display: Where progress is shown.

    Raises:
        RunError: `directory` already exists.
    """
    from kft.serving import ServingProcess
    from kft.workflow import train

    if directory.exists():
        raise RunError(
            f"{directory}: the folder already exists; the demo needs a new one. "
            "Remove it, or choose another --directory."
        )
    started = time.monotonic()
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
    display.stage(f"\nFine-tuning it on the digits 5 to 9, with {PICTURES_PER_CLASS} pictures each")
    fine_tuned = train(load_pipeline(target, (backbone, *SETTINGS, *FINE_TUNING, *places)), display)

    display.stage("\nThe same network from random weights")
    own = ("backbone.weights=random", "strategy.name=full", "export.enabled=false")
    from_random = train(
        load_pipeline(target, (backbone, *own, *SETTINGS, *FINE_TUNING, *places)), display
    )

    display.stage("\nAsking the export about PNG files, in a process without kft")
    assert fine_tuned.export is not None
    files = [next((directory / "digits-5-to-9/holdout" / name).iterdir()) for name in NAMES[5:]]
    with ServingProcess() as process:
        answers = process.answer(fine_tuned.export.path, [str(file) for file in files])
    served = [
        (str(file), str(answer))
        for file, answer in zip(files, answers["top_class"].ravel(), strict=True)
    ]
    return Demo(fine_tuned, from_random, served, time.monotonic() - started)


def override(path: str, value: object) -> str:
    """Format a setting for the command line, quoted because a folder may have any name.

    >>> override("runs_directory", "my runs")
    'runs_directory="my runs"'
    """
    return f"{path}={json.dumps(str(value))}"


def write_digits(directory: Path) -> None:
    """Write the digits as PNG files in class folders: 0 to 4, and 5 to 9 in train and holdout."""
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
        # Shades from 0 to 16 become 0 to 255; a factor of 16 would overflow at 16.
        shades = np.round(picture * (255 / 16)).astype(np.uint8)
        Image.fromarray(shades).save(folder / f"{number:03d}.png")
