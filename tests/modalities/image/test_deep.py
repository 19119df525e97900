"""More than 8 bits, in every format, are read according to the header or refused with a reason."""

from __future__ import annotations

import hashlib
import io
import struct

import imagecodecs
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from encoded import STORED_AS, decode, encode, make_deep_png, make_png_chunk, make_scene
from PIL import Image

from kft.config import ImageConfig
from kft.modalities.checked import CheckOptions, FileContent, UnusableError
from kft.modalities.image.conversion import Converted, convert
from kft.modalities.image.decoding import decode_picture
from kft.modalities.image.file_check import ImageReport, inspect_image
from kft.modalities.image.headers import read_header
from kft.modalities.image.sample_scale import scale_samples

SCENE = np.asarray(make_scene(24, 16))
# A picture of 12 bits, and what it shows.
COLOURS = (SCENE.astype(np.uint32) * 4095 // 255).astype(np.uint16)
GREY = COLOURS[..., :1]
OPACITY = np.linspace(0, 65_535, 24 * 16).astype(np.uint16).reshape(16, 24, 1)


def make_tiff(values: np.ndarray, photometric: str = "rgb", **options) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric=photometric, **options)
    return buffer.getvalue()


def make_netpbm(values: np.ndarray, largest: int, kind: int) -> bytes:
    height, width = values.shape[:2]
    head = f"P{kind}\n# by a camera\n{width} {height}\n{largest}\n".encode()
    if kind in (2, 3):
        return head + b"\n".join(b" ".join(b"%d" % v for v in row.ravel()) for row in values)
    return head + values.astype(">u2").tobytes()


def make_jpeg2000(values: np.ndarray, bits: int, box: str = "jp2") -> bytes:
    options = {"bitspersample": bits, "reversible": True, "level": 0, "codecformat": box}
    return imagecodecs.jpeg2k_encode(values.squeeze(), **options)


def add_chunk(png: bytes, name: bytes, data: bytes) -> bytes:
    return png[:33] + make_png_chunk(name, data) + png[33:]


def read(content: bytes, background: str = "white", **options) -> Converted:
    return convert(content, read_header(content), background, **options)


def look(content: bytes, **settings) -> ImageReport:
    digest = hashlib.sha256(content).hexdigest()
    return inspect_image(
        FileContent("a", "/x/a", content, digest, len(content), 0),
        ImageConfig(**settings),
        CheckOptions(with_likeness=True, with_measures=True),
    )


def show_kept(content: bytes, depth: int, background: str = "white", **settings) -> np.ndarray:
    """Check a file, and decode it with the graph."""
    seen = look(content, background=background, **settings)
    kept = content if seen.converted is None else seen.converted.read_bytes()
    return decode_picture(tf.constant(kept), background, depth=depth).numpy()


TIFF_WAYS = [
    {"byteorder": order, "planarconfig": planar, "compression": compression, "predictor": predictor}
    for order in "<>"
    for planar in ("contig", "separate")
    for compression, predictor in (
        (None, None),
        ("lzw", None),
        ("lzw", 2),
        ("zlib", 2),
        ("packbits", None),
        ("zstd", None),
    )
]


@pytest.mark.parametrize("way", TIFF_WAYS, ids=lambda way: "-".join(map(str, way.values())))
def test_a_tiff_of_16_bits_is_read_however_it_is_stored(way):
    values = np.moveaxis(COLOURS, -1, 0) if way["planarconfig"] == "separate" else COLOURS
    assert np.array_equal(read(make_tiff(values, **way)).deep.colours, COLOURS)


@pytest.mark.parametrize(
    "content",
    [
        make_deep_png(COLOURS),
        make_tiff(COLOURS),
        make_tiff(COLOURS, tile=(16, 16)),
        make_tiff(COLOURS, bigtiff=True),
        make_tiff(COLOURS, bitspersample=12),
        make_netpbm(COLOURS, 4095, 6),
        make_netpbm(COLOURS, 4095, 3),
        make_netpbm(COLOURS, 65_535, 6),
        make_jpeg2000(COLOURS, 12),
        make_jpeg2000(COLOURS, 12, "j2k"),
        make_jpeg2000(COLOURS, 16),
    ],
)
def test_a_picture_of_12_bits_looks_the_same_in_every_format(content):
    expected = scale_samples(COLOURS, 4095)
    assert np.abs(expected.astype(int) - SCENE).max() <= 1
    assert np.array_equal(show_kept(content, depth=12), expected)


@pytest.mark.parametrize(
    "content",
    [
        make_deep_png(GREY),
        encode(GREY[..., 0], "PNG"),
        encode(GREY[..., 0], "TIFF"),
        make_tiff(GREY[..., 0], "minisblack"),
        make_tiff(GREY[..., 0], "minisblack", bitspersample=12),
        make_tiff(4095 - GREY[..., 0], "miniswhite", bitspersample=12),
        make_tiff(4095 - GREY[..., 0], "miniswhite", extratags=[(281, "H", 1, 4095, True)]),
        make_netpbm(GREY, 4095, 5),
        make_netpbm(GREY, 4095, 2),
        make_jpeg2000(GREY, 12),
        make_jpeg2000(GREY, 16),
    ],
)
def test_grey_of_12_bits_looks_the_same_in_every_format(content):
    expected = np.repeat(scale_samples(GREY, 4095), 3, axis=-1)
    assert np.array_equal(show_kept(content, depth=12), expected)


@pytest.mark.parametrize("background", ["white", "black"])
@pytest.mark.parametrize("colours", [GREY, COLOURS])
def test_what_is_transparent_shows_the_background_in_every_format(colours, background):
    whole = np.concatenate([colours, OPACITY], axis=-1)
    photometric = "rgb" if colours.shape[-1] == 3 else "minisblack"
    options = {"planarconfig": "contig", "extrasamples": ["unassalpha"]}
    shown = [
        show_kept(content, 12, background)
        for content in (make_deep_png(whole), make_tiff(whole, photometric, **options))
    ]
    assert np.array_equal(*shown)
    assert (shown[0][0, 0] == (255 if background == "white" else 0)).all()
    assert (shown[0][-1, -1] == scale_samples(colours[-1, -1], 4095)).all()


def test_colours_that_were_multiplied_by_their_opacity_are_divided_by_it():
    opacity = np.maximum(OPACITY, 6000)
    multiplied = (COLOURS.astype(np.uint32) * 16 * opacity // 65_535).astype(np.uint16)
    content = make_tiff(np.concatenate([multiplied, opacity], axis=-1), extrasamples=["assocalpha"])
    colours = read(content).deep.colours.astype(int)
    assert np.abs(colours - COLOURS.astype(int) * 16).max() <= 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_tiff_is_turned_upright_once(orientation):
    stored = SCENE if orientation == 1 else Image.fromarray(SCENE).transpose(STORED_AS[orientation])
    values = np.asarray(stored).astype(np.uint16) * 257
    content = make_tiff(values, extratags=[(274, "H", 1, orientation, True)])
    assert np.array_equal(show_kept(content, 16), SCENE)


@pytest.mark.parametrize(("largest", "kind"), [(1000, 6), (1000, 3), (300, 5), (65_534, 6)])
def test_the_largest_value_of_a_ppm_is_white(largest, kind):
    values = np.linspace(0, largest, 24 * 16 * 3).round().reshape(16, 24, 3).astype(np.uint16)
    values = values[..., :1] if kind == 5 else values
    shown = show_kept(make_netpbm(values, largest, kind), depth=16)
    assert np.array_equal(shown, np.broadcast_to(scale_samples(values, largest), shown.shape))
    assert read(make_netpbm(values, largest, kind)).deep.samples.white == largest


@pytest.mark.parametrize("largest", [1, 15, 100, 254])
def test_so_it_is_where_it_takes_fewer_than_8_bits(largest):
    values = (np.arange(24 * 16) % (largest + 1)).reshape(16, 24).astype(np.uint8)
    content = b"P5 24 16 %d\n" % largest + values.tobytes()
    shown, expected = show_kept(content, depth=12)[..., 0], values * 255.0 / largest
    assert np.abs(shown - expected).max() <= 0.5
    assert look(content).samples is None


def test_a_jpeg_2000_of_4_bits_has_its_white_too():
    values = (COLOURS >> 8).astype(np.uint8)
    assert np.array_equal(show_kept(make_jpeg2000(values, 4), depth=12), values * 17)


@pytest.mark.parametrize(
    ("stated", "largest", "bits"),
    [
        (b"\x0c", 900, 12),
        (b"\x0c", 4095, 12),
        # The standard: scaled up to all 16 bits.
        (b"\x0c", 65_520, 16),
        (b"\x0c", 20_000, 16),
        (b"\x10", 900, 16),
        (b"\x06", 50, 8),
        (b"", 900, 10),
    ],
)
def test_a_png_says_how_many_of_its_bits_are_significant(stated, largest, bits):
    png = make_deep_png(np.linspace(0, largest, 48).astype(np.uint16).reshape(6, 8, 1))
    content = add_chunk(png, b"sBIT", stated) if stated else png
    assert look(content).samples.bits == bits


def test_of_colours_with_opacity_the_most_significant_bits_count():
    values = np.concatenate([COLOURS >> 2, OPACITY], axis=-1)
    content = add_chunk(make_deep_png(values), b"sBIT", b"\x0b\x0c\x0b\x10")
    assert look(content).samples.bits == 12


@pytest.mark.parametrize(
    ("stated", "bits"), [(4095, 12), (16_383, 14), (65_535, 10), (500, 10), (100, 10)]
)
def test_the_tag_of_a_tiff_names_the_bits_that_are_used_but_never_fewer(stated, bits):
    values = np.linspace(0, 900, 48).astype(np.uint16).reshape(6, 8)
    content = make_tiff(values, "minisblack", extratags=[(281, "H", 1, stated, True)])
    assert look(content).samples.bits == bits


def test_one_colour_of_a_png_may_be_transparent():
    png = add_chunk(make_deep_png(GREY), b"tRNS", struct.pack(">H", int(GREY[2, 3, 0])))
    shown = show_kept(png, depth=12, background="black")
    assert (shown[2, 3] == 0).all() and shown.max() > 200


def test_where_0_is_white_and_nothing_says_what_is_black_the_setting_does():
    content = make_tiff(4095 - GREY[..., 0], "miniswhite")
    with pytest.raises(UnusableError, match=r"its black is unknown.*data\.image\.depth"):
        look(content)
    expected = np.repeat(scale_samples(GREY, 4095), 3, axis=-1)
    assert np.array_equal(read(content, known_depth=12).pixels, expected)
    assert np.array_equal(read(content, set_depth=12).pixels, expected)
    whole = make_tiff(65_535 - GREY[..., 0] * 16, "miniswhite")
    assert np.abs(read(whole).pixels.astype(int) - expected).max() <= 1


def test_a_depth_that_is_set_holds_whatever_a_header_says():
    content = make_netpbm(COLOURS // 4, 1023, 6)
    assert np.array_equal(show_kept(content, 12), scale_samples(COLOURS // 4, 1023))
    seen = look(content, depth=12)
    shown = decode_picture(tf.constant(seen.converted.read_bytes()), "white", depth=12).numpy()
    assert np.array_equal(shown, scale_samples(COLOURS // 4, 4095))
    with pytest.raises(
        UnusableError, match=r"needs 10 bits, but data\.image\.depth is 9 \(white is 511"
    ):
        look(content, depth=9)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (make_tiff(SCENE.astype(np.float32)), "fractions of an unknown range"),
        (
            make_tiff(SCENE[..., 0].astype(np.float16), "minisblack"),
            "fractions of an unknown range",
        ),
        (
            make_tiff(SCENE[..., 0].astype(np.float64), "minisblack"),
            "fractions of an unknown range",
        ),
        (make_tiff(SCENE[..., 0].astype(np.int16), "minisblack"), "signed numbers"),
        (make_tiff(SCENE[..., 0].astype(np.int8), "minisblack"), "signed numbers"),
        (make_tiff(SCENE[..., 0].astype(np.uint32), "minisblack"), "32 bits per value"),
        (make_tiff(SCENE[..., 0].astype(np.complex64), "minisblack"), "complex numbers"),
        (make_tiff(np.repeat(GREY, 4, -1), "separated"), "16 bits per value, and neither"),
        (make_tiff(COLOURS, compression="jpeg2000"), "in a compression that is not read"),
        (
            make_tiff(
                np.zeros((4, 16, 16), np.uint8), "minisblack", volumetric=True, tile=(16,) * 3
            ),
            "a volume of 4 slices",
        ),
        (imagecodecs.jpeg_encode(COLOURS, bitspersample=12), "a JPEG of 12 bits"),
        (make_netpbm(COLOURS, 1000, 6), "damaged: a value of 40.., but the largest .* is 1000"),
        (b"P7\nWIDTH 1\n", "a PAM picture"),
        *(
            (content[: len(content) * share // 100], "cut off|damaged|not a known picture format")
            for share in (30, 70, 98)
            for content in (
                make_deep_png(COLOURS),
                make_tiff(COLOURS, compression="lzw"),
                make_tiff(COLOURS, compression="zlib", tile=(16, 16)),
                make_tiff(COLOURS, bitspersample=12),
                make_netpbm(COLOURS, 4095, 6),
                make_netpbm(COLOURS, 4095, 3),
                make_jpeg2000(COLOURS, 12),
            )
        ),
    ],
)
def test_samples_that_cannot_be_shown_are_refused_with_their_reason(content, reason):
    with pytest.raises(UnusableError, match=reason):
        look(content)


def test_signed_samples_of_a_jpeg_2000_are_refused():
    content = bytearray(make_jpeg2000(GREY, 12))
    content[content.index(b"\xff\x4f\xff\x51") + 42] |= 0x80
    with pytest.raises(UnusableError, match="signed numbers"):
        look(bytes(content))


@pytest.mark.parametrize("number", [2, 5])
def test_a_jpeg_of_other_channels_is_refused_by_their_number(number):
    content = bytearray(encode(make_scene(), "JPEG"))
    content[content.index(b"\xff\xc0") + 9] = number
    with pytest.raises(UnusableError, match=f"^{number} channels; kft reads 1"):
        look(bytes(content))


def test_a_jpeg_ls_is_named():
    content = encode(make_scene(), "JPEG").replace(b"\xff\xc0", b"\xff\xf7")
    with pytest.raises(UnusableError, match="JPEG-LS, which is not decoded"):
        look(content)


def test_a_ppm_whose_header_makes_no_sense_is_damaged():
    content = b"P6 2 2 4095#odd\n" + bytes(40)
    with pytest.raises(UnusableError, match=r"damaged|not a known picture format"):
        look(content)


def make_channels(number: int, **options) -> bytes:
    values = np.repeat(SCENE[..., :1], number, axis=-1)
    photometric = options.pop("photometric", "minisblack")
    return make_tiff(values, photometric, planarconfig="contig", **options)


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (make_channels(2), 2),
        (make_channels(4), 4),
        (make_channels(5), 5),
        (make_channels(4, photometric="rgb", extrasamples=["unspecified"]), 4),
        (make_channels(5, photometric="rgb", extrasamples=["unassalpha", "unspecified"]), 5),
        (make_tiff(np.repeat(GREY, 5, axis=-1), "minisblack", planarconfig="contig"), 5),
        *((make_jpeg2000(np.repeat(GREY, n, axis=-1), 12), n) for n in (2, 4, 5)),
        (make_jpeg2000(np.repeat(SCENE[..., :1], 5, axis=-1), 8), 5),
    ],
)
def test_a_number_of_channels_that_cannot_be_used_is_named(content, number):
    with pytest.raises(UnusableError, match=rf"^{number} channels.*; kft reads 1 \(grey\) or 3"):
        look(content)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize("format_name", ["TIFF", "JPEG2000"])
def test_channels_that_can_be_used_still_are(format_name, mode):
    if format_name == "JPEG2000" and mode in ("1", "P"):
        mode = "L"
    picture = make_scene(24, 16).convert(mode)
    if format_name == "JPEG2000" and mode == "CMYK":
        picture = picture.convert("RGB")
    content = encode(picture, format_name)
    seen = look(content)
    assert seen.repaired == (format_name,) and seen.samples is None
    if mode not in ("LA", "RGBA"):
        assert np.array_equal(decode(seen.converted.read_bytes()), decode(content))


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1)])
def test_a_thin_picture_is_converted_like_any_other(shape):
    values = np.linspace(0, 4095, 300)[: shape[0] * shape[1]].astype(np.uint16).reshape(*shape, 1)
    shown = show_kept(make_tiff(values[..., 0], "minisblack"), depth=12)
    assert np.array_equal(shown, np.repeat(scale_samples(values, 4095), 3, axis=-1))
