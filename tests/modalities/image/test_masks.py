"""Check of masks, beside their pictures."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kft.config import MasksConfig
from kft.modalities import load_modality
from kft.modalities.checked import CheckOptions, FileContent, UnusableError
from kft.modalities.image.inspection import CheckedPicture

NAMES = ("ground", "road", "tree")
INDICES = np.array([[0, 1, 2, 2], [0, 1, 1, 255], [0, 0, 0, 0]], np.uint8)
COLOURS = {"ground": "#000000", "road": "#804080", "tree": "#008000", "void": "#ffffff"}
TABLE = np.zeros((256, 3), np.uint8)
TABLE[[0, 1, 2, 255]] = [(0, 0, 0), (128, 64, 128), (0, 128, 0), (255, 255, 255)]


def picture(width: int = 4, height: int = 3, orientation: int = 1) -> CheckedPicture:
    known = {"name": "a.jpg", "path": "a.jpg", "digest": "0", "size": 1, "changed_ns": 0}
    return CheckedPicture(
        **known, format="JPEG", mode="RGB", width=width, height=height, orientation=orientation
    )


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def replace(old: int, new: int) -> np.ndarray:
    return np.where(old == INDICES, new, INDICES).astype(np.uint8)


def palette(indices: np.ndarray) -> Image.Image:
    image = Image.fromarray(indices, "P")
    image.putpalette(TABLE.ravel().tolist())
    return image


@pytest.fixture
def check(tmp_path):
    """Check the bytes of a mask; return class indices as a decoder reads them, and the result."""

    def run(content: bytes, checked=None, names=NAMES, **settings):
        path = tmp_path / "mask.png"
        path.write_bytes(content)
        file = FileContent("a.jpg", str(path), content, "1" * 64, len(content), 0)
        options = CheckOptions(target_names=names, find_folder=lambda: tmp_path / "copies")
        target = load_modality("image").check_target(
            file, checked or picture(), MasksConfig(**settings), options
        )
        image = Image.open(target.path)
        assert (image.format, image.mode) == ("PNG", "L")
        return np.asarray(image), target

    return run


def test_a_grey_png_of_indices_is_read_as_it_is(check, tmp_path):
    indices, target = check(encode(Image.fromarray(INDICES)))
    assert np.array_equal(indices, INDICES)
    assert target.path == str(tmp_path / "mask.png")
    assert target.summary.tolist() == [6, 3, 2]


@pytest.mark.parametrize(
    ("image", "kind", "settings"),
    [
        (palette(INDICES), "PNG", {}),
        (Image.fromarray(INDICES), "TIFF", {}),
        (Image.fromarray(INDICES), "BMP", {}),
        (Image.fromarray(np.stack([INDICES] * 3, axis=-1)), "PNG", {}),
        (Image.fromarray(INDICES.astype(np.uint16)), "PNG", {}),
        (Image.fromarray(TABLE[INDICES]), "PNG", {"colours": COLOURS}),
        (
            Image.fromarray(np.where(INDICES == 255, 9, INDICES).astype(np.uint8)),
            "PNG",
            {"void": 9},
        ),
    ],
    ids=["palette", "tiff", "bmp", "grey in colours", "16 bits", "colours", "void of its own"],
)
def test_other_ways_to_store_a_mask_become_the_same_indices(check, image, kind, settings):
    indices, target = check(encode(image, kind), **settings)
    assert np.array_equal(indices, INDICES)
    assert target.summary.tolist() == [6, 3, 2]


def test_few_grey_values_are_not_stretched(check):
    # A grey PNG of 2 bits with the values 0, 1, 2 and 3, which Pillow shows as 0, 85, 170 and 255.
    lines = b"".join(b"\x00" + bytes([value << 6 | value << 4]) for value in (0, 1, 2))
    header = struct.pack(">IIBBBBB", 2, 3, 2, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    indices, _ = check(content, picture(2, 3))
    assert indices.tolist() == [[0, 0], [1, 1], [2, 2]]


def test_a_binary_mask_has_two_classes_whatever_its_largest_value(check):
    lung = INDICES == 1
    for values in (lung, lung.astype(np.uint8), lung.astype(np.uint8) * 255):
        indices, target = check(
            encode(Image.fromarray(values)), names=("other", "lung"), binary=True
        )
        assert np.array_equal(indices, lung)
        assert target.summary.tolist() == [9, 3]


def test_a_converted_mask_is_another_file_under_other_settings(check):
    content = encode(palette(INDICES))
    _, one = check(content)
    _, again = check(content)
    _, other = check(content, void=2)
    assert one.path == again.path != other.path
    assert other.summary.tolist() == [6, 3, 0]


RGB = Image.fromarray(TABLE[INDICES])
CLEAR = RGB.convert("RGBA")
CLEAR.putalpha(100)
PNG = encode(Image.fromarray(INDICES))


@pytest.mark.parametrize(
    ("content", "checked", "settings", "words"),
    [
        (PNG, picture(5, 3), {}, "it has 4 x 3 pixels, the picture 5 x 3"),
        (PNG, picture(4, 3, orientation=6), {}, "turned by its EXIF entry"),
        (encode(Image.fromarray(INDICES + 7)), None, {}, "7 in 6 pixels, 8 in 3 pixels"),
        (
            encode(palette(replace(2, 3))),
            None,
            {},
            "3 in 2 pixels",
        ),
        (encode(Image.fromarray(INDICES.astype(np.uint16) + 300)), None, {}, "300 in 6 pixels"),
        (encode(RGB), None, {}, "data.masks.colours="),
        (encode(RGB), None, {"colours": {**COLOURS, "tree": "#008001"}}, "#008000 in 2 pixels"),
        (encode(CLEAR), None, {"colours": COLOURS}, "transparent in places"),
        (encode(palette(INDICES), "GIF"), None, {}, "it is a GIF, which does not keep"),
        (encode(Image.fromarray(INDICES), "JPEG"), None, {}, "it is a JPEG, which does not keep"),
        (encode(Image.fromarray(INDICES), "WEBP"), None, {}, "it is a WEBP, which does not keep"),
        (encode(Image.fromarray(INDICES.astype(np.float32)), "TIFF"), None, {}, "mode F"),
        (encode(RGB.convert("CMYK"), "TIFF"), None, {}, "mode CMYK"),
        (PNG[:-30], None, {}, "damaged or cut off"),
        (b"class,mask\n", None, {}, "it is not a picture"),
        (
            encode(RGB, "TIFF", save_all=True, append_images=[RGB]),
            None,
            {},
            "it holds 2 pictures",
        ),
    ],
)
def test_a_mask_that_cannot_be_used_is_refused_by_name(
    check, tmp_path, content, checked, settings, words
):
    with pytest.raises(UnusableError, match=r"its mask .*mask\.png: ") as refused:
        check(content, checked, **settings)
    assert words in str(refused.value)
    assert not (tmp_path / "copies").exists()


def test_a_modality_without_masks_refuses_them():
    file = FileContent("a", "a", b"", "", 0, 0)
    with pytest.raises(UnusableError, match="texts have no targets in files"):
        load_modality("text").check_target(file, None, MasksConfig(), CheckOptions())
