"""Masks and boxes drawn over their picture."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kft.modalities.image.conversion import convert
from kft.modalities.image.headers import read_header
from kft.tasks.base import ABSENT, FOUND, MISSED, VOID, WRONG

# Share of a class's colour over the picture.
_OPACITY = 0.5
# Steps of this share of the circle keep neighbouring classes apart for any number of them.
_HUE_STEP = 0.618
_TEXT_SHARE = 0.03
_SIDES = 4
# Green, red, orange.
_MARK_COLOURS = {FOUND: (40, 170, 80), MISSED: (220, 40, 40), WRONG: (240, 150, 20)}
_LEAST_TEXT = 11


def draw_answer(path: str, companion: np.ndarray, names: Sequence[str], background: str) -> bytes:
    """Draw a mask or boxes over a picture, as a PNG with a legend.

    Args:
        path: Path of a picture that passed the file check.
        companion: Mask uint8 (height, width), or boxes (boxes, 6) in pixels with a probability,
            of the upright picture.
        names: Name of each class.
        background: Background of transparent parts.
    """
    content = Path(path).read_bytes()
    pixels = convert(content, read_header(content), background).pixels
    is_mask = companion.dtype == np.uint8
    drawn = Image.fromarray(lay_over(pixels, companion) if is_mask else pixels)
    if is_mask:
        present = [i for i in np.unique(companion).tolist() if i != VOID]
        drawn = _add_legend(drawn, [(names[i], find_colour(i)) for i in present])
    else:
        _draw_boxes(drawn, companion, names)
    file = io.BytesIO()
    drawn.save(file, "PNG")
    return file.getvalue()


def lay_over(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Lay the colours of a mask (height, width) over pixels, uint8 (height, width, 3)."""
    table = np.array([find_colour(index) for index in range(VOID + 1)], np.float32)
    mixed = (1 - _OPACITY) * pixels + _OPACITY * table[mask]
    mixed = np.where((mask == VOID)[..., np.newaxis], pixels, mixed)
    laid: np.ndarray = mixed.round().astype(np.uint8)
    return laid


def outline(picture: Image.Image, boxes: np.ndarray) -> None:
    """Outline boxes in fractions, in place.

    Args:
        picture: RGB picture.
        boxes: Boxes (boxes, 5) as the pipeline holds them, in the colours of their classes; or with
            a mark (boxes, 6), in the colour of their mark.
    """
    draw = ImageDraw.Draw(picture)
    size = np.array([picture.width, picture.height] * 2)
    for row in boxes.tolist():
        if row[0] != ABSENT:
            marked = row[_SIDES + 1 :]
            colour = _MARK_COLOURS[marked[0]] if marked else find_colour(int(row[0]))
            draw.rectangle(list(row[1 : _SIDES + 1] * size), outline=colour, width=2)


def find_colour(index: int) -> tuple[int, int, int]:
    """Find the colour of a class."""
    red, green, blue = colorsys.hsv_to_rgb((index * _HUE_STEP) % 1.0, 0.75, 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def load_font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Load DejaVu Sans from matplotlib, because Pillow's own font has only English letters."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", name)
    return ImageFont.truetype(str(path), size)


def _text_size(picture: Image.Image) -> int:
    return max(_LEAST_TEXT, round(_TEXT_SHARE * min(picture.size)))


def _add_legend(
    picture: Image.Image, entries: Sequence[tuple[str, tuple[int, int, int]]]
) -> Image.Image:
    """Add a line for each class below a picture."""
    size = _text_size(picture)
    line = round(1.5 * size)
    sheet = Image.new("RGB", (picture.width, picture.height + line * len(entries)), "white")
    sheet.paste(picture, (0, 0))
    draw, font = ImageDraw.Draw(sheet), load_font(size)
    for place, (name, colour) in enumerate(entries):
        top = picture.height + place * line + line // 6
        draw.rectangle([size // 2, top, size // 2 + size, top + size], fill=colour)
        draw.text((2 * size, top), name, "black", font)
    return sheet


def _draw_boxes(picture: Image.Image, boxes: np.ndarray, names: Sequence[str]) -> None:
    size = _text_size(picture)
    draw, font = ImageDraw.Draw(picture), load_font(size)
    for kind, left, top, right, bottom, probability in boxes.tolist():
        colour = find_colour(int(kind))
        draw.rectangle([left, top, right, bottom], outline=colour, width=max(1, size // 6))
        text = f"{names[int(kind)]} {probability:.2f}"
        place = (left, max(0.0, top - 1.2 * size))
        draw.rectangle(draw.textbbox(place, text, font), fill=colour)
        draw.text(place, text, "white", font)
