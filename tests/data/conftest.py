"""Fixtures that write small pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WritePicture = Callable[..., Path]


@pytest.fixture
def write_picture(tmp_path: Path) -> WritePicture:
    """Write a picture of noise below tmp_path; the format follows the ending."""

    def write(name: str, *, size: tuple[int, int] = (12, 10), seed: int = 0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng([seed, *name.encode()])
        pixels = noise.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        return path

    return write


@pytest.fixture
def write_classes(write_picture: WritePicture) -> Callable[..., None]:
    """Write the given numbers of pictures into class folders."""

    def write(ending: str = ".png", **counts: int) -> None:
        for folder, count in counts.items():
            for number in range(count):
                write_picture(f"{folder.replace('__', '/')}/{number:03d}{ending}")

    return write
