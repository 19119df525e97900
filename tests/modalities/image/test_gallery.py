from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from kft.modalities.image.gallery import draw_gallery
from kft.modalities.showing import ViewRow


@pytest.mark.parametrize("size", [(24, 24), (300, 200), (20, 400)])
def test_every_picture_and_label_is_on_the_sheet(size):
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    pictures = tuple(
        {"pixels": np.full((size[1], size[0], 3), colour, np.float32)} for colour in colours
    )
    rows = [ViewRow("Überraschung " * 9, "some/" * 30 + "file.png", pictures)] * 2
    drawn = draw_gallery(rows, caption="a long caption " * 30)
    sheet = np.asarray(Image.open(io.BytesIO(drawn)))
    for colour in colours:
        shown = (sheet == colour).all(axis=-1)
        assert shown.any(axis=1).sum() % 2 == 0  # both rows, each as high as the other
        assert shown.sum() >= 2 * 8 * 170
    # Labels and headings are written, and nothing of them lies below the pictures.
    dark = (sheet < 120).all(axis=-1)
    assert dark[:72].any() and dark[72:, :230].any()
    covered = (sheet != 255).any(axis=-1) & ~dark
    assert covered[72:, 240:].any()
