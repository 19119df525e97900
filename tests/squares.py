"""Made pictures with boxes: bright squares and dark bars on grey ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 60, 40


def write_boxes(root: Path, count: int = 20) -> None:
    """Write a folder in the layout of YOLO: `images`, `labels` and `data.yaml`.

    Args:
        root: Folder to make.
        count: Number of pictures; the first shows nothing.
    """
    random = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = random.integers(100, 130, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        lines = []
        for kind, (width, height), value in ((0, (16, 16), 250), (1, (20, 8), 5)):
            left = random.integers(0, WIDTH // 2 - width) + kind * WIDTH // 2
            top = random.integers(0, HEIGHT - height)
            if number:
                pixels[top : top + height, left : left + width] = value
                x, y = (left + width / 2) / WIDTH, (top + height / 2) / HEIGHT
                lines.append(f"{kind} {x} {y} {width / WIDTH} {height / HEIGHT}\n")
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        (root / "labels" / f"{number}.txt").write_text("".join(lines))
    (root / "data.yaml").write_text("train: images\nnames: [square, bar]\n")
