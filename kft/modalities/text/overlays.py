"""A picture of a text whose words are coloured by what they say for an answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kft.modalities.overlays import colour_over, encode_png, scale_values

# Pixels; narrow, so that text is legible on a phone.
_WIDTH, _MARGIN, _SIZE, _LINE, _PADDING = 448, 12, 17, 30, 4
_PAPER, _INK = 255.0, (25, 25, 25)


def draw_words(words: Sequence[str], values: np.ndarray) -> bytes:
    """Draw words as lines of text, each on its colour: PNG.

    Args:
        words: Words in order.
        values: Value of each word (words,): above 0 speaks for the answer.
    """
    import matplotlib

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    font = ImageFont.truetype(str(path), _SIZE)
    # A colour of full strength would hide the word.
    scaled = 0.75 * scale_values(np.asarray(values, np.float64))
    colours = colour_over(np.full((1, len(words)), _PAPER), scaled[np.newaxis])[0].tolist()
    places, bottom = _lay_out([font.getlength(word) for word in words])
    sheet = Image.new("RGB", (_WIDTH, bottom + _LINE + _MARGIN), (int(_PAPER),) * 3)
    draw = ImageDraw.Draw(sheet)
    for word, colour, (left, top, right) in zip(words, colours, places, strict=True):
        draw.rounded_rectangle((left, top, right, top + _LINE - 4), 4, tuple(colour))
        draw.text((left + _PADDING, top + 2), word, _INK, font)
    return encode_png(sheet)


def _lay_out(lengths: Sequence[float]) -> tuple[list[tuple[float, int, float]], int]:
    """Left, top and right of each word, and the top of the last line."""
    places, left, top = [], float(_MARGIN), _MARGIN
    for length in lengths:
        right = left + length + 2 * _PADDING
        if right > _WIDTH - _MARGIN and left > _MARGIN:
            left, top = float(_MARGIN), top + _LINE
            right = left + length + 2 * _PADDING
        places.append((left, top, right))
        left = right + 1
    return places, top
