"""Contact sheet of examples and their augmented views."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kft.modalities.showing import ViewRow
from kft.modalities.image.drawing import lay_over, load_font, outline
from kft.modalities.image.input_spec import PIXELS
from kft.tasks.base import BOXES, MASK

# Sizes in pixels. Pictures are scaled so that their longer side is `_CELL`.
_CELL = 176
_GAP = 10
_LABEL_WIDTH = 230
_HEADING_HEIGHT = 36
_TITLE_SIZE, _TEXT_SIZE = 18, 14
_INK, _FAINT, _PAPER = (25, 25, 25), (110, 110, 110), (255, 255, 255)


def draw_gallery(rows: Sequence[ViewRow], *, caption: str) -> bytes:
    """Draw a PNG with a row for each example: label and file, original, views.

    Args:
        rows: At least one row, all with the same number of views.
        caption: Text above the rows.
    """
    cells = [[_draw(view) for view in row.views] for row in rows]
    width, height = cells[0][0].size
    columns = ["original", *(f"view {number}" for number in range(len(cells[0]) - 1))]
    sheet = Image.new(
        "RGB",
        (
            _GAP + _LABEL_WIDTH + len(columns) * (width + _GAP),
            2 * _HEADING_HEIGHT + len(rows) * (height + _GAP),
        ),
        _PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    title, text = load_font(_TITLE_SIZE, bold=True), load_font(_TEXT_SIZE)
    draw.text((_GAP, _GAP), _shorten(caption, title, sheet.width - 2 * _GAP), _INK, title)
    for column, heading in enumerate(columns):
        x = _GAP + _LABEL_WIDTH + column * (width + _GAP)
        draw.text((x, _HEADING_HEIGHT + _GAP), heading, _FAINT, text)
        for line, row in enumerate(cells):
            sheet.paste(row[column], (x, 2 * _HEADING_HEIGHT + line * (height + _GAP)))
    for line, example in enumerate(rows):
        middle = 2 * _HEADING_HEIGHT + line * (height + _GAP) + height // 2
        room = _LABEL_WIDTH - _GAP
        draw.text((_GAP, middle - 24), _shorten(example.title, title, room), _INK, title)
        draw.text((_GAP, middle + 4), _shorten(example.text, text, room), _FAINT, text)
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()


def _draw(view: Mapping[str, np.ndarray]) -> Image.Image:
    """Draw a cell, with the mask or the boxes that moved with the picture."""
    pixels = np.round(view[PIXELS]).astype(np.uint8)
    if MASK in view:
        pixels = lay_over(pixels, view[MASK].astype(np.uint8))
    cell = _fit(pixels)
    if BOXES in view:
        outline(cell, view[BOXES])
    return cell


def _fit(picture: np.ndarray) -> Image.Image:
    """Scale a picture to the size of a cell; small pictures keep sharp pixels."""
    image = Image.fromarray(picture)
    scale = _CELL / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    how = Image.Resampling.NEAREST if scale >= 2.0 else Image.Resampling.LANCZOS
    return image.resize((width, height), how)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Remove the beginning of a text that is too wide, because names differ at their ends."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"…{text}") > width:
        text = text[1:]
    return f"…{text}"
