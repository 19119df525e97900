from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from kft.modalities.image.preview import make_data_uri

SIDE = 104


def open_uri(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


@pytest.fixture
def photo(tmp_path) -> str:
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (640, 480), (200, 30, 30)).save(path)
    return str(path)


def test_a_thumbnail_is_small_and_keeps_its_shape(photo):
    small = open_uri(make_data_uri(photo, "white", side=SIDE))
    assert small.size == (SIDE, SIDE * 3 // 4)
    assert small.format == "JPEG"


def test_a_thumbnail_is_upright(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 200)).save(path, exif=exif)
    assert open_uri(make_data_uri(str(path), "white", side=SIDE)).size == (SIDE // 2, SIDE)


@pytest.mark.parametrize(
    ("mode", "value", "grey"),
    [("RGBA", (0, 0, 0, 0), 255), ("I;16", 128 * 256, 128), ("L", 60, 60), ("1", 0, 0)],
)
def test_a_thumbnail_shows_what_training_sees(tmp_path, mode, value, grey):
    path = tmp_path / "odd.png"
    Image.new(mode, (20, 20), value).save(path)
    shown = np.asarray(open_uri(make_data_uri(str(path), "white", side=SIDE)))
    assert shown.shape == (20, 20, 3)
    assert abs(shown.mean() - grey) < 2


def test_a_picture_that_went_away_has_no_preview(tmp_path):
    assert make_data_uri(str(tmp_path / "gone.jpg"), "white", side=SIDE) is None
