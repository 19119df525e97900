from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from kft.data import gate
from kft.data.gate import check_files, compute_fingerprint
from kft.data.headers import HeaderError, read_header
from kft.data.splits import Examples
from kft.errors import DataError


@pytest.fixture
def examples_of(tmp_path):
    """Examples of files with these contents."""

    def build(**contents: bytes) -> Examples:
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        paths = tuple(str(tmp_path / name) for name in contents)
        return Examples(tuple(contents), paths, np.zeros(len(contents), np.int64))

    return build


def encode(format_name: str, mode: str = "RGB", size: tuple[int, int] = (9, 7), **options) -> bytes:
    """A picture in that format; WebP and JPEG at their defaults."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(buffer, format_name, **options)
    return buffer.getvalue()


def make_huge_png(width: int, height: int) -> bytes:
    """The header of a PNG of that size, and next to no data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.fixture
def decoded(monkeypatch) -> list[bytes]:
    """What the gate decodes."""
    contents: list[bytes] = []
    decode = gate._decode
    monkeypatch.setattr(
        gate, "_decode", lambda content: (contents.append(content), decode(content))
    )
    return contents


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    "picture",
    [
        encode("JPEG"),
        encode("JPEG") + b"\0\0\0",
        encode("JPEG") + b"more after the end",
        encode("JPEG", "L"),
        encode("JPEG", "CMYK"),
        encode("PNG", "RGBA"),
        encode("PNG", "P"),
        encode("GIF", "P"),
        encode("BMP"),
        encode("WEBP"),
    ],
)
def test_pictures_that_tensorflow_decodes_pass(examples_of, picture, decode):
    assert len(check_files(examples_of(a=picture), decode=decode)) == 1


@pytest.mark.parametrize(
    "picture",
    [
        encode("JPEG"),
        encode("JPEG", "L"),
        encode("JPEG", "CMYK"),
        encode("JPEG") + b"\0\0\0",
        encode("JPEG", progressive=True),
        encode("JPEG", exif=b"Exif\0\0" + b"\xff\xd9" * 50),
        encode("PNG"),
        encode("PNG", "P"),
    ],
)
def test_a_picture_that_looks_whole_is_not_decoded_where_that_comes_later(
    examples_of, decoded, picture
):
    digests = check_files(examples_of(a=picture), decode=False)
    assert digests == (hashlib.sha256(picture).hexdigest(),)
    assert decoded == []
    check_files(examples_of(a=picture), decode=True)
    assert decoded == [picture]


@pytest.mark.parametrize(
    "picture",
    [encode("GIF", "P"), encode("BMP"), encode("WEBP"), encode("JPEG") + b"more after the end"],
)
def test_a_picture_that_the_header_test_does_not_know_is_decoded(examples_of, decoded, picture):
    check_files(examples_of(a=picture), decode=False)
    assert decoded == [picture]


@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\n<!DOCTYPE html><html>404</html>", "an HTML page"),
        (b"nothing that is known", "no picture format"),
        (encode("JPEG", size=(64, 64))[:-200], "JPEG"),
        (encode("PNG", size=(64, 64))[:-30], "PNG"),
        (encode("TIFF"), "Unknown image file format"),
        (make_huge_png(23_000, 23_000), "23000 x 23000 pixels; at most 100 megapixels"),
    ],
)
def test_an_unreadable_picture_is_named_with_its_reason(examples_of, content, reason, decode):
    with pytest.raises(DataError, match=f"1 of 2 pictures cannot be read.*\n.*/bad: .*{reason}"):
        check_files(examples_of(good=encode("PNG"), bad=content), decode=decode)


@given(format_name=st.sampled_from(["JPEG", "PNG"]), share=st.floats(0.0, 1.0, exclude_max=True))
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_picture_cut_off_anywhere_is_refused_without_decoding_the_whole_ones(
    examples_of, format_name, share
):
    whole = encode(format_name, size=(40, 30), exif=b"Exif\0\0" + b"\xff\xd9" * 9)
    with pytest.raises(DataError, match="1 of 1 pictures"):
        check_files(examples_of(cut=whole[: int(share * len(whole))]), decode=False)


@pytest.mark.parametrize("decode", [True, False])
def test_damage_within_a_file_is_found_by_decoding(examples_of, decode):
    whole = encode("PNG", size=(64, 64))
    damaged = whole[:500] + b"?" * 50 + whole[550:]
    if decode:
        with pytest.raises(DataError, match="1 of 1 pictures"):
            check_files(examples_of(a=damaged), decode=True)
    else:  # left to the first real reading; see test_pixels.py
        check_files(examples_of(a=damaged), decode=False)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (9, 7), (300, 2)])
def test_the_header_says_the_size(format_name, size):
    header = read_header(encode(format_name, size=size))
    assert (header.width, header.height) == size


@given(
    content=st.binary(max_size=80), start=st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n"])
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_no_bytes_break_the_header_test(content, start):
    try:
        assert not read_header(start + content).looks_whole
    except HeaderError as error:
        assert "no picture format" in str(error)


def test_pillows_own_pixel_limit_is_left_as_it_was(examples_of):
    limit = Image.MAX_IMAGE_PIXELS
    check_files(examples_of(a=encode("PNG")))
    assert limit == Image.MAX_IMAGE_PIXELS


def test_ten_unreadable_pictures_are_named_and_the_rest_counted(examples_of):
    with pytest.raises(DataError, match=r"12 of 12 pictures") as caught:
        check_files(examples_of(**{f"f{i:02d}": b"" for i in range(12)}))
    assert str(caught.value).count("the file is empty") == 10
    assert "and 2 more" in str(caught.value)


def test_a_file_that_vanished_is_named(examples_of, tmp_path):
    examples = examples_of(a=encode("PNG"))
    (tmp_path / "a").unlink()
    with pytest.raises(DataError, match=r"a: No such file"):
        check_files(examples)


def test_progress_counts_every_file(examples_of):
    seen: list[tuple[int, int]] = []
    check_files(examples_of(a=encode("PNG"), b=encode("BMP")), lambda *now: seen.append(now))
    assert seen == [(1, 2), (2, 2)]


def test_the_fingerprint_depends_on_ids_contents_targets_and_names_only():
    examples = Examples(("a", "b"), ("/x/a", "/x/b"), np.array([0, 1]))
    moved = Examples(("b", "a"), ("/y/b", "/y/a"), np.array([1, 0]))
    first = compute_fingerprint(examples, ["1", "2"], "class", ["c", "d"])
    assert first == compute_fingerprint(moved, ["2", "1"], "class", ["c", "d"])
    relabelled = Examples(("a", "b"), ("/x/a", "/x/b"), np.array([1, 1]))
    others = {
        compute_fingerprint(examples, ["1", "3"], "class", ["c", "d"]),
        compute_fingerprint(relabelled, ["1", "2"], "class", ["c", "d"]),
        compute_fingerprint(examples, ["1", "2"], "class", ["c", "e"]),
    }
    assert len(others | {first}) == 4
