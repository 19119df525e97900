"""Made pictures with masks: bright boxes on dark ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write_masks(root: Path, count: int = 20) -> None:
    """Write `images`, `masks` and `classes.txt` into a folder.

    Args:
        root: Folder to make.
        count: Number of pictures.
    """
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 60, (40, 30, 3)).astype(np.uint8)
        mask = np.zeros((40, 30), np.uint8)
        top, left = random.integers(0, 20), random.integers(0, 15)
        pixels[top : top + 18, left : left + 14] += 150
        mask[top : top + 18, left : left + 14] = 1
        for folder, values in (("images", pixels), ("masks", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / folder / f"{number}.png")
    (root / "classes.txt").write_text("ground\nbox\n", encoding="utf-8")
