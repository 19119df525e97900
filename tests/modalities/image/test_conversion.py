from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from encoded import STORED_AS, decode, encode, make_exif, make_noise, make_scene
from PIL import Image

from kft.modalities.checked import temporary_copies
from kft.modalities.image.conversion import (
    ConversionError,
    cached_pictures,
    convert,
    keep_converted,
    turn,
)
from kft.modalities.image.decoding import decode_picture
from kft.modalities.image.header_record import HeaderError
from kft.modalities.image.headers import read_header
from kft.modalities.image.samples import lay_on


def convert_content(content: bytes, background: str = "white"):
    return convert(content, read_header(content), background)


@pytest.mark.parametrize(
    ("format_name", "mode"),
    [
        *(("TIFF", mode) for mode in ("RGB", "L", "1", "P", "CMYK")),
        *(("PPM", mode) for mode in ("RGB", "L", "1")),
        ("JPEG2000", "RGB"),
        ("JPEG", "CMYK"),
        ("GIF", "P"),
        ("BMP", "P"),
    ],
)
def test_a_picture_becomes_what_pillow_shows(format_name, mode):
    content = encode(make_scene().convert(mode), format_name)
    converted = convert_content(content)
    assert np.array_equal(converted.pixels, decode(content))
    assert converted.deep is None


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["PNG", "WEBP", "TIFF", "JPEG"])
def test_a_picture_is_turned_upright_once(format_name, orientation):
    scene = make_scene()
    stored = scene if orientation == 1 else scene.transpose(STORED_AS[orientation])
    exact = {"WEBP": {"lossless": True}, "JPEG": {"quality": 98, "subsampling": 0}}
    content = encode(stored, format_name, exif=make_exif(orientation), **exact.get(format_name, {}))
    difference = convert_content(content).pixels.astype(int) - np.asarray(scene)
    assert np.abs(difference).mean() < (3 if format_name == "JPEG" else 0.01)
    assert read_header(content).orientation == orientation


@pytest.mark.parametrize("background", ["white", "black"])
def test_what_is_transparent_shows_the_background_as_in_the_graph(background):
    content = encode(make_noise(channels=4), "PNG")
    shown = decode_picture(tf.constant(content), background)
    assert np.array_equal(convert_content(content, background).pixels, shown)


@pytest.mark.parametrize("background", [("white", 255), ("black", 0)])
def test_a_transparent_gif_shows_the_background(background):
    picture = Image.new("P", (4, 4), 1)
    picture.putpalette([9, 9, 9, 200, 100, 50])
    picture.putpixel((0, 0), 0)
    pixels = convert_content(encode(picture, "GIF", transparency=0), background[0]).pixels
    assert pixels[0, 0].tolist() == [background[1]] * 3
    assert pixels[1, 1].tolist() == [200, 100, 50]


@pytest.mark.parametrize(
    "values", [np.zeros((4, 4), np.float32), np.full((4, 4), 70_000, np.int32)]
)
def test_numbers_without_a_stated_range_are_refused(values):
    with pytest.raises(HeaderError, match="convert it to 8 or 16 bits"):
        convert_content(encode(values, "TIFF"))


@pytest.mark.parametrize("format_name", ["TIFF", "GIF", "BMP", "WEBP", "PPM", "JPEG2000"])
def test_a_picture_that_is_cut_off_is_damaged(format_name):
    content = encode(make_noise(80, 60), format_name)
    header = read_header(content)
    with pytest.raises(ConversionError, match="damaged or cut off"):
        convert(content[: len(content) // 2], header, "white")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_gives_back_what_was_stored(orientation):
    scene = make_scene()
    stored = scene if orientation == 1 else scene.transpose(STORED_AS[orientation])
    assert np.array_equal(turn(np.asarray(stored), orientation), scene)


def test_full_opacity_and_none_are_exact():
    colours = make_noise()
    opacity = np.full((10, 12, 1), 255, np.uint8)
    assert np.array_equal(lay_on("white", colours, opacity), colours)
    assert (lay_on("black", colours, opacity * 0) == 0).all()


def test_a_conversion_is_written_once_and_mended_where_it_is_damaged(caches):
    pixels = make_noise()
    path = keep_converted(pixels, "a" * 64, "white", cached_pictures)
    assert path.is_relative_to(caches)
    assert np.array_equal(decode(path.read_bytes()), pixels)
    written = path.stat().st_mtime_ns
    assert keep_converted(pixels, "a" * 64, "white", cached_pictures) == path
    assert path.stat().st_mtime_ns == written
    path.write_bytes(path.read_bytes()[:50])
    keep_converted(pixels, "a" * 64, "white", cached_pictures)
    assert np.array_equal(decode(path.read_bytes()), pixels)
    assert keep_converted(pixels, "a" * 64, "black", cached_pictures) != path


def test_a_picture_that_is_read_once_is_converted_into_a_folder_that_goes_away(caches):
    pixels = np.zeros((4, 4, 3), np.uint8)
    with temporary_copies() as find_folder:
        path = keep_converted(pixels, "a" * 64, "white", find_folder)
        assert path.is_file()
        assert keep_converted(pixels, "b" * 64, "white", find_folder).parent.parent == find_folder()
    assert not path.exists()
    assert not path.parent.parent.exists()
    assert not list(caches.rglob("*.png"))
