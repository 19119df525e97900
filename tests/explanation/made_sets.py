"""Made examples in which one part alone decides the class, and where that part is."""

from __future__ import annotations

import numpy as np

SIZE, PATCH, CELL = 64, 24, 4
# Red and blue; the third class has no patch. The rest of a picture is grey.
COLOURS = np.array([[220, 40, 40], [40, 60, 230]], np.float32)
SECONDS, RATE = 1.0, 16_000


def make_patches(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw pictures of grey texture; two thirds have a coloured patch at a random place.

    Returns:
        Pixels float32 (count, 64, 64, 3), classes int64 (count,): 0, 1, 2, 0, …, and whether each
        pixel is of the patch, bool (count, 64, 64).
    """
    drawn = np.random.default_rng(seed)
    coarse = drawn.uniform(0, 255, (count, SIZE // CELL, SIZE // CELL))
    grey = coarse.repeat(CELL, axis=1).repeat(CELL, axis=2)
    pixels = np.repeat(grey[..., np.newaxis], 3, axis=-1).astype(np.float32)
    classes = np.arange(count) % 3
    is_patch = np.zeros((count, SIZE, SIZE), bool)
    for place, (top, left) in enumerate(drawn.integers(0, SIZE - PATCH, (count, 2))):
        if classes[place] < len(COLOURS):
            is_patch[place, top : top + PATCH, left : left + PATCH] = True
            pixels[place][is_patch[place]] = COLOURS[classes[place]]
    return pixels, classes, is_patch


def make_bursts(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Make noise; two thirds have a burst of one of two pitches at a random time.

    Returns:
        Waveforms float32 (count, samples), classes int64 (count,): 0, 1, 2, 0, …, and whether each
        sample is of the burst, bool (count, samples).
    """
    drawn = np.random.default_rng(seed)
    size, length = round(RATE * SECONDS), round(0.4 * RATE)
    # Of every level, so that nothing can be learned of it.
    levels = 10 ** drawn.uniform(-5, -2, (count, 1))
    waveforms = (levels * drawn.normal(size=(count, size))).astype(np.float32)
    classes = np.arange(count) % 3
    is_burst = np.zeros((count, size), bool)
    times = np.arange(length) / RATE
    for place, start in enumerate(drawn.integers(0, size - length, count)):
        if classes[place] < 2:
            hertz = (600.0, 2400.0)[classes[place]]
            tone = 0.5 * np.sin(2 * np.pi * hertz * times) * np.hanning(length)
            waveforms[place, start : start + length] += tone.astype(np.float32)
            is_burst[place, start : start + length] = True
    return waveforms, classes, is_burst


def find_mass(values: np.ndarray, is_inside: np.ndarray) -> float:
    """Share of what speaks for an answer that lies inside; 0 if nothing does."""
    positive = np.maximum(values, 0.0)
    return float(positive[is_inside].sum() / (positive.sum() or 1.0))
