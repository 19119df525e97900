"""Videos that kft makes: shapes that move, whose class is the direction that no frame shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

# Class -> pixels down and to the right from one frame to the next, in units of the speed.
DIRECTIONS = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
SIDE = 32
NUM_FRAMES = 12
_RADIUS = 4.0


def make_clip(direction: str, random: np.random.Generator) -> np.ndarray:
    """A shape that moves before a background: uint8 (NUM_FRAMES, SIDE, SIDE, 3).

    What leaves the frame at one side comes back at the other, so that over all clips of a class a
    shape is everywhere equally often, in every frame. Shape, colours, speed and background differ
    from clip to clip.

    Args:
        direction: Class of the clip.
        random: Source of all that differs.
    """
    down, right = DIRECTIONS[direction]
    speed = random.uniform(1.5, 3.5)
    top, left = random.uniform(0, SIDE, 2)
    is_round = random.random() < 0.5
    coarse = random.integers(0, 110, (4, 4, 3)).astype(np.uint8)
    behind = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    colour = random.integers(150, 256, 3)
    frames = np.empty((NUM_FRAMES, SIDE, SIDE, 3), np.uint8)
    for number in range(NUM_FRAMES):
        rows = _distance(top + down * speed * number)[:, np.newaxis]
        columns = _distance(left + right * speed * number)[np.newaxis, :]
        far = np.hypot(rows, columns) if is_round else np.maximum(rows, columns)
        # Soft by a pixel, so that it moves by parts of a pixel too.
        share = np.clip(_RADIUS + 0.5 - far, 0.0, 1.0)[..., np.newaxis]
        frames[number] = np.round(share * colour + (1 - share) * behind)
    return frames


def _distance(place: float) -> np.ndarray:
    """Distance of each pixel from a place, the shorter way around: (SIDE,)."""
    apart = np.abs(np.arange(SIDE) - place) % SIDE
    return np.minimum(apart, SIDE - apart)


def write_clips(folder: Path, per_class: int, *, seed: int = 0) -> None:
    """Write class folders of animated GIFs, whose 256 colours are chosen for each frame.

    Args:
        folder: Folder of the class folders.
        per_class: Number of clips of each direction.
        seed: Seed of all of them.
    """
    random = np.random.default_rng(seed)
    for direction in DIRECTIONS:
        (folder / direction).mkdir(parents=True)
        for number in range(per_class):
            first, *others = map(Image.fromarray, make_clip(direction, random))
            path = folder / direction / f"{number:03d}.gif"
            first.save(path, save_all=True, append_images=others, duration=100, disposal=1)
