from __future__ import annotations

import struct
import zlib

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.data.sources.record_files import mask, read_records


def frame(content: bytes) -> bytes:
    length = struct.pack("<Q", len(content))
    checksums = [struct.pack("<I", mask(google_crc32c.value(part))) for part in (length, content)]
    return length + checksums[0] + content + checksums[1]


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=30), min_size=1, max_size=5),
    st.sampled_from(["", ".gz"]),
    st.data(),
)
def test_whatever_is_damaged_no_wrong_record_is_given(tmp_path_factory, contents, ending, data):
    whole = b"".join(map(frame, contents))
    path = tmp_path_factory.mktemp("records") / f"a.tfrecord{ending}"
    packer = zlib.compressobj(wbits=31)
    stored = packer.compress(whole) + packer.flush() if ending else whole
    damaged = bytearray(stored)
    damaged[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(damaged[: data.draw(st.integers(1, len(stored)))])
    read = list(read_records(path))
    assert len(read) <= len(contents) + 1
    for position, content in enumerate(read):
        assert isinstance(content, str) or content == contents[position]
    path.write_bytes(stored)
    assert list(read_records(path)) == contents


def test_a_length_beyond_all_memory_is_damage(tmp_path):
    head = struct.pack("<Q", 2**60)
    path = tmp_path / "a.tfrecord"
    path.write_bytes(head + struct.pack("<I", mask(google_crc32c.value(head))) + b"short")
    (reason,) = read_records(path)
    assert "the length of the record is damaged" in reason


def test_a_record_reader_needs_a_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_records(tmp_path / "none.tfrecord"))
