from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kft.data.gate import check_files, compute_fingerprint
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


def encode(format_name: str, mode: str = "RGB", size: tuple[int, int] = (9, 7)) -> bytes:
    """A picture in that format; WebP and JPEG at their defaults."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).convert(mode).save(buffer, format_name)
    return buffer.getvalue()


def make_huge_png(width: int, height: int) -> bytes:
    """The header of a PNG of that size, and next to no data."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "picture",
    [
        encode("JPEG"),
        encode("JPEG", "L"),
        encode("JPEG", "CMYK"),
        encode("PNG", "RGBA"),
        encode("PNG", "P"),
        encode("GIF", "P"),
        encode("BMP"),
        encode("WEBP"),
    ],
)
def test_pictures_that_tensorflow_decodes_pass(examples_of, picture):
    assert len(check_files(examples_of(a=picture))) == 1


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
def test_an_unreadable_picture_is_named_with_its_reason(examples_of, content, reason):
    with pytest.raises(DataError, match=f"1 of 2 pictures cannot be read.*\n.*/bad: .*{reason}"):
        check_files(examples_of(good=encode("PNG"), bad=content))


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
