from __future__ import annotations

import hashlib

import numpy as np
import pytest
from encoded import (
    add_segment,
    decode,
    drop_segments,
    encode,
    make_deep_png,
    make_exif,
    make_huge_png,
    make_noise,
    make_scene,
    make_tiff_block,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kft.config import ImageConfig
from kft.modalities.checked import CheckOptions, FileContent, UnusableError
from kft.modalities.image import file_check as looking
from kft.modalities.image.exif import MARK, WINDOW
from kft.modalities.image.file_check import WRONG_ENDING, ImageReport, inspect_image
from kft.modalities.image.header_record import HeaderError
from kft.modalities.image.headers import read_header

JPEG = encode(make_scene(), "JPEG")
CMYK = encode(make_scene().convert("CMYK"), "JPEG")
FRAMES = {"save_all": True, "append_images": [make_scene(seed=1)], "duration": 90}
TURNED = make_exif(6)
PALETTE = make_scene().convert("P")
TRANSPARENT_GIF = encode(PALETTE, "GIF", transparency=PALETTE.getpixel((0, 0)))


def look(
    content: bytes,
    *,
    path: str = "/x/a",
    decode: bool = False,
    settings: dict[str, float] | None = None,
    **options,
) -> ImageReport:
    digest = hashlib.sha256(content).hexdigest()
    return inspect_image(
        FileContent("a", path, content, digest, len(content), 0),
        ImageConfig(**(settings or {})),
        CheckOptions(decode=decode, **options),
    )


@pytest.fixture
def decoded(monkeypatch) -> list[bytes]:
    """Record the contents that the graph's decoder decodes."""
    contents: list[bytes] = []
    decode_content = looking._decode
    monkeypatch.setattr(
        looking,
        "_decode",
        lambda content, *how: (contents.append(content), decode_content(content, *how))[1],
    )
    return contents


@pytest.mark.parametrize("with_likeness", [True, False])
@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    ("content", "mode"),
    [
        (JPEG, "RGB"),
        (encode(make_scene(), "JPEG", progressive=True), "RGB"),
        (encode(make_scene().convert("L"), "JPEG"), "L"),
        (CMYK, "CMYK"),
        (encode(make_scene(), "JPEG", exif=TURNED), "RGB"),
        (JPEG + b"\0\0\0", "RGB"),
        (JPEG + b"more after the end", "RGB"),
        *(
            (encode(make_scene().convert(mode), "PNG"), mode)
            for mode in ("RGB", "RGBA", "L", "P", "1")
        ),
        (encode(make_scene().convert("P"), "GIF"), "P"),
        (encode(make_scene(), "BMP"), "RGB"),
        (encode(make_scene(), "WEBP"), "RGB"),
        (encode(make_scene().convert("RGBA"), "WEBP"), "RGBA"),
        (encode(make_scene(), "GIF", **FRAMES), "P"),
        (make_deep_png(np.arange(0, 4096, 43, dtype=np.uint16).reshape(8, 12, 1)), "I;16"),
        (make_deep_png(np.arange(0, 65_536, 683, dtype=np.uint16).reshape(8, 12, 1)), "I;16"),
    ],
)
def test_what_the_graph_decodes_right_is_used_as_it_is(
    content, mode, decode, with_likeness, caches
):
    seen = look(content, decode=decode, with_likeness=with_likeness)
    assert seen.converted is None and seen.repaired == ()
    if mode != "RGBA":
        assert seen.header.mode == mode
    assert not (caches / "converted").exists()


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    ("content", "repaired"),
    [
        (encode(make_scene(), "TIFF"), ("TIFF",)),
        (encode(make_scene(), "PPM"), ("PPM",)),
        (encode(make_scene(), "JPEG2000"), ("JPEG2000",)),
        (drop_segments(CMYK, 0xEE), ("CMYK",)),
        (encode(make_scene(), "PNG", exif=TURNED), ("EXIF orientation",)),
        (encode(make_scene(), "WEBP", exif=TURNED), ("EXIF orientation",)),
        (encode(make_scene(), "TIFF", exif=TURNED), ("TIFF", "EXIF orientation")),
        (
            add_segment(add_segment(JPEG, 0xE1, MARK + make_tiff_block(6)), 0xE2, bytes(WINDOW)),
            ("EXIF orientation",),
        ),
        (encode(make_scene(), "WEBP", **FRAMES), ("animated WEBP",)),
        (encode(make_scene().convert("P"), "BMP"), ("BMP of mode P",)),
        (encode(make_scene().convert("1"), "BMP"), ("BMP of mode 1",)),
        (TRANSPARENT_GIF, ("GIF with transparent parts",)),
        (encode(np.arange(0, 4096, 43, dtype=np.uint16).reshape(8, 12), "TIFF"), ("TIFF",)),
    ],
)
def test_what_it_would_show_otherwise_is_converted(content, repaired, decode):
    seen = look(content, decode=decode, with_likeness=True, with_measures=True)
    assert seen.repaired == repaired
    written = decode_file(seen.converted)
    again = look(seen.converted.read_bytes(), decode=True)
    assert again.converted is None and again.header.mode == ("I;16" if seen.samples else "RGB")
    size = (seen.header.width, seen.header.height)
    assert written.shape[1::-1] in (size, size[::-1])


def decode_file(path) -> np.ndarray:
    return decode(path.read_bytes())


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>404</html>", "an HTML page"),
        (b"\xef\xbb\xbf<HTML>", "an HTML page"),
        (b"<?xml version='1.0'?><annotation/>", "an XML text"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"PK\x03\x04....", "a ZIP archive"),
        (b"notes on what was seen, at length", "a text, not a picture"),
        (bytes(range(7, 256)), "not a known picture format"),
        (b"\0\0\0\x18ftypheic....", "HEIC, which is not decoded; convert it to JPEG"),
        (b"\0\0\0\x18ftypmif1....", "HEIF, which"),
        (b"\0\0\0\x18ftypmp42....", "a video"),
        (b"\xff\x0a....", "JPEG XL, which"),
        (make_huge_png(23_000, 23_000), r"23000 x 23000 pixels; at most 100 megapixels"),
        *(
            (content[: int(len(content) * share)], "cut off|damaged|not a known picture format")
            for share in (0.01, 0.5, 0.99)
            for content in (
                encode(make_noise(64, 64), name)
                for name in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000")
            )
        ),
        (encode(make_scene(), "GIF", **FRAMES)[:-40], "cut off: a GIF without its end mark"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(content, reason, decode):
    with pytest.raises(UnusableError, match=reason):
        look(content, decode=decode)


def test_an_avif_picture_is_refused():
    with pytest.raises(UnusableError, match="AVIF, which is not decoded"):
        look(encode(make_scene(), "AVIF"))


def test_the_largest_size_can_be_set():
    with pytest.raises(UnusableError, match=r"96 x 64 pixels; at most 0\.005 megapixels"):
        look(JPEG, settings={"max_megapixels": 0.005})
    look(JPEG, settings={"max_megapixels": 0.007})


@pytest.mark.parametrize(
    "content",
    [
        JPEG,
        CMYK,
        JPEG + b"\0\0\0",
        encode(make_scene(), "PNG"),
        encode(make_scene(), "JPEG", exif=TURNED),
    ],
)
def test_a_picture_that_looks_whole_is_not_decoded_where_that_comes_later(content, decoded):
    look(content)
    assert decoded == []
    look(content, decode=True)
    assert decoded == [content]


@pytest.mark.parametrize("content", [encode(make_scene(), name) for name in ("GIF", "BMP", "WEBP")])
def test_a_picture_whose_header_tells_too_little_is_decoded(content, decoded):
    look(content)
    assert decoded == [content]


@given(format_name=st.sampled_from(["JPEG", "PNG"]), share=st.floats(0.0, 1.0, exclude_max=True))
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_picture_cut_off_anywhere_is_refused_without_decoding_it(decoded, format_name, share):
    whole = encode(make_noise(40, 30), format_name, exif=b"Exif\0\0" + b"\xff\xd9" * 9)
    with pytest.raises(UnusableError):
        look(whole[: int(share * len(whole))])
    assert decoded == []


@pytest.mark.parametrize("options", [{"decode": True}, {"with_likeness": True}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("exif", [b"", TURNED])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_jpeg_that_lacks_data_before_its_end_mark_is_cut_off(options, mode, exif, share):
    whole = encode(make_scene(200, 120).convert(mode), "JPEG", exif=exif, quality=95)
    with pytest.raises(UnusableError, match="cut off: a JPEG with an end mark"):
        look(whole[: int(share * len(whole))] + b"\xff\xd9", **options)


@pytest.mark.parametrize("options", [{"decode": True}, {"with_likeness": True}])
def test_a_picture_that_is_grey_at_its_edge_is_whole(options):
    grey = Image.new("RGB", (200, 120), (128, 128, 128))
    assert look(encode(grey, "JPEG"), **options).repaired == ()
    grey.paste(make_scene(150, 60), (0, 0))
    assert look(encode(grey, "JPEG") + b"and more", **options).repaired == ()


@pytest.mark.parametrize("options", [{"decode": True}, {"with_likeness": True}])
def test_damage_within_a_file_is_found_by_decoding(options):
    whole = encode(make_noise(64, 64), "PNG")
    damaged = whole[:500] + b"?" * 50 + whole[550:]
    with pytest.raises(UnusableError, match="damaged"):
        look(damaged, **options)
    look(damaged)  # left to the first real reading; see test_pixels.py


@pytest.mark.parametrize(
    ("content", "path", "words"),
    [
        (JPEG, "/x/a.JPG", ()),
        (JPEG, "/x/a.png", (WRONG_ENDING,)),
        (encode(make_scene(), "PNG"), "/x/a.jpeg", (WRONG_ENDING,)),
        (JPEG, "/x/a", ()),
        (JPEG + b"more", "/x/a.jpg", ("bytes after the end",)),
        (encode(make_scene(), "PNG") + b"more", "/x/a.png", ("bytes after the end",)),
        (encode(make_scene(), "GIF", **FRAMES), "/x/a.gif", ("animated: its first frame is used",)),
        (
            encode(make_scene(), "WEBP", **FRAMES),
            "/x/a.webp",
            ("animated: its first frame is used",),
        ),
        (encode(make_scene(), "PNG", **FRAMES), "/x/a.png", ("animated: its first frame is used",)),
        (
            encode(make_scene(), "JPEG", exif=TURNED),
            "/x/a.jpg",
            ("turned upright according to EXIF",),
        ),
    ],
)
def test_what_is_used_is_still_worth_a_word(content, path, words):
    assert look(content, path=path).noticed == words


def test_likeness_and_measures_are_computed_where_they_are_asked_for():
    assert look(JPEG).likeness is None and look(JPEG).measures is None
    seen = look(JPEG, with_likeness=True, with_measures=True)
    turned = look(
        encode(make_scene().rotate(90, expand=True), "JPEG", exif=TURNED), with_likeness=True
    )
    assert (seen.likeness ^ turned.likeness).bit_count() <= 4
    assert seen.measures.brightness > 0


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM"])
@pytest.mark.parametrize("size", [(1, 1), (9, 7), (300, 2), (1, 3000)])
def test_the_header_says_format_and_size(format_name, size):
    header = read_header(encode(make_noise(*size), format_name))
    assert (header.format, header.width, header.height) == (format_name, *size)
    look(encode(make_noise(*size), format_name), with_likeness=True, with_measures=True)


@given(
    content=st.binary(max_size=80),
    start=st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"RIFF"]),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_no_bytes_break_the_header_test(content, start):
    try:
        assert not read_header(start + content).looks_whole
    except HeaderError as error:
        assert "not a known picture format" in str(error) or "cut off" in str(error)
