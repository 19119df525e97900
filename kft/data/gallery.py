"""One picture that shows examples and what augmentation makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw, ImageFont

from kft.data.batches.pipeline import example_seeds
from kft.data.batches.pixels import read_pixels, translate_read_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kft.data.batches.pixels import Decoder
    from kft.examples import Splits
    from kft.modalities.image.augmentation import Augmentation

# In pixels. A picture is enlarged or reduced until its longer side is this long.
_CELL = 176
_GAP = 10
_LABEL_WIDTH = 230
_HEADING_HEIGHT = 36
_TITLE_SIZE, _TEXT_SIZE = 18, 14
_INK, _FAINT, _PAPER = (25, 25, 25), (110, 110, 110), (255, 255, 255)


@dataclass(frozen=True)
class GalleryRow:
    """One example.

    Attributes:
        title: Its label.
        text: Its file.
        pictures: The original and its views, uint8 (height, width, 3) each.
    """

    title: str
    text: str
    pictures: tuple[np.ndarray, ...]


def make_rows(
    splits: Splits,
    decoder: Decoder,
    augmentation: Augmentation,
    *,
    num_pictures: int,
    num_views: int,
    seed: int,
) -> list[GalleryRow]:
    """Training examples with their first views: those that training shows in its first epochs.

    Args:
        splits: Where they come from.
        decoder: Encoded bytes -> pixels, at the size that training uses.
        augmentation: What makes the views.
        num_pictures: How many examples, of the classes in turn.
        num_views: How many views of each.
        seed: Of training.

    Raises:
        DataError: A picture does not decode.
    """
    train = splits.train
    indices = _choose(train.targets, num_pictures)
    with translate_read_errors(train.take(indices), decoder):
        pixels = read_pixels(tf.constant([train.paths[i] for i in indices]), decoder)
    change = tf.function(augmentation, autograph=False)
    shown = [pixels.numpy()]
    for view in range(num_views):
        changed = change(pixels, example_seeds(seed, view, tf.constant(indices)))
        shown.append(np.round(changed.numpy()).astype(np.uint8))
    return [
        GalleryRow(
            title=splits.task.format(train.targets[index], splits.class_names),
            text=train.ids[index],
            pictures=tuple(pictures[row] for pictures in shown),
        )
        for row, index in enumerate(indices)
    ]


def _choose(targets: np.ndarray, count: int) -> list[int]:
    """Indices of up to `count` examples: the first of each class, the second of each …"""
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
        return np.linspace(0, len(targets) - 1, min(count, len(targets))).astype(int).tolist()
    ranks = np.empty(len(targets), np.int64)
    for index in np.unique(targets):
        members = np.flatnonzero(targets == index)
        ranks[members] = np.arange(len(members))
    return sorted(np.lexsort((targets, ranks))[:count].tolist(), key=lambda i: (targets[i], i))


def draw_gallery(rows: Sequence[GalleryRow], *, caption: str) -> Image.Image:
    """A row for each example: label and file, the original, its views.

    Args:
        rows: At least one, all with equally many pictures.
        caption: Written above.
    """
    cells = [[_fit(picture) for picture in row.pictures] for row in rows]
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
    title, text = _font(_TITLE_SIZE, bold=True), _font(_TEXT_SIZE)
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
    return sheet


def _fit(picture: np.ndarray) -> Image.Image:
    """At the size of a cell; small pictures keep their pixels visible."""
    image = Image.fromarray(picture)
    scale = _CELL / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    how = Image.Resampling.NEAREST if scale >= 2.0 else Image.Resampling.LANCZOS
    return image.resize((width, height), how)


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which matplotlib brings: Pillow's own font knows no letter beyond English."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    path = Path(matplotlib.get_data_path(), "fonts", "ttf", name)
    return ImageFont.truetype(str(path), size)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The text, its beginning left out where it is too wide: names differ at their ends."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"…{text}") > width:
        text = text[1:]
    return f"…{text}"
