"""Pretraining and fine-tuning on scikit-learn's handwritten digits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from kft.demos.demonstration import (
    Comparison,
    Demonstration,
    Place,
    pretrain_and_compare,
)

PICTURES_PER_CLASS = 20
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Mirroring would change digits; all of the few labelled ones are needed for training.
SETTINGS = ("data.image.augmentation=none", "data.validation=0")
PRETRAINING = ("data.image.augmentation=light", "strategy.duration=20 epochs")


class PictureDemonstration(Demonstration):
    """Pretrain on the digits 0 to 4, fine-tune on 5 to 9, and compare with random weights."""

    heading = "small_cnn, digits 5 to 9"
    conditions = f"Both trained on {PICTURES_PER_CLASS} labelled pictures of each class."
    questions = "PNG files"
    own = "pictures"

    def prepare(self, place: Place) -> Sequence[Comparison]:
        """See `Demonstration`."""
        directory = place.directory
        place.display.stage(f"Writing handwritten digits as PNG files to {directory}")
        write_digits(directory)
        return pretrain_and_compare(
            place,
            Comparison(
                "pretrained",
                "Pretraining small_cnn on the digits 0 to 4",
                directory / "digits-0-to-4",
                PRETRAINING,
            ),
            Comparison(
                "pretrained on the digits 0 to 4, then fine-tuned",
                f"Fine-tuning it on the digits 5 to 9, with {PICTURES_PER_CLASS} pictures each",
                directory / "digits-5-to-9",
            ),
            SETTINGS,
        )

    def list_questions(self, directory: Path) -> Sequence[Path]:
        """See `Demonstration`."""
        return [next((directory / "digits-5-to-9/holdout" / name).iterdir()) for name in NAMES[5:]]


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
