"""Frames of a clip with what an answer depends on."""

from __future__ import annotations

import numpy as np

from kft.modalities.overlays import colour_over, encode_overlay, scale_values

# Frames of an overlay, in rows of two.
_SHOWN, _ACROSS = 4, 2


def draw_over_frames(clip: np.ndarray, values: np.ndarray) -> bytes:
    """Draw the four frames in which most happens, in their order, with values over them: PNG.

    Args:
        clip: Pixels in [0, 255] (frames, height, width, 3).
        values: Value of each pixel (frames, height, width).
    """
    weights = np.abs(values).sum(axis=(1, 2))
    chosen = np.sort(np.argsort(-weights, kind="stable")[:_SHOWN])
    scaled = scale_values(values)
    drawn = [colour_over(clip[i].mean(axis=-1), scaled[i]) for i in chosen]
    drawn += [np.full_like(drawn[0], 255)] * (-len(drawn) % _ACROSS)
    rows = [
        np.concatenate(drawn[start : start + _ACROSS], axis=1)
        for start in range(0, len(drawn), _ACROSS)
    ]
    return encode_overlay(np.concatenate(rows, axis=0))
