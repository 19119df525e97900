"""Reader of the records of a TFRecord file that reports damaged records.

TensorFlow's reader stops at the first damaged record. This one continues after it if the
length of the record is intact.

A record is: length (8 bytes), its checksum (4), content, its checksum (4), all little
endian. Source: tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import google_crc32c

_HEAD = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
# Protocol buffers cannot be longer, so a damaged length cannot exhaust the memory.
_LONGEST_RECORD = 2**31


class _DamagedError(Exception):
    """Reason why a record and all records after it cannot be read."""


def read_records(path: Path) -> Iterator[bytes | str]:
    """Read the content of each record, or the reason why it cannot be read.

    A damaged length or the end of a truncated file gives one last reason: the number of
    records that follow is unknown.

    Args:
        path: Path of the file; read as gzip if it ends in `.gz` or `.gzip`.

    Raises:
        OSError: The system cannot read the file.
    """
    is_compressed = path.suffix.lower() in (".gz", ".gzip")
    with gzip.open(path) if is_compressed else path.open("rb") as stream:
        try:
            is_first = True
            while head := _read(stream, _HEAD.size):
                yield _read_content(stream, head, is_first)
                is_first = False
        except _DamagedError as error:
            yield f"{error}; the rest of the file cannot be read"


def _read(stream: BinaryIO | gzip.GzipFile, size: int) -> bytes:
    """Read `size` bytes, or the rest if fewer are left."""
    try:
        return stream.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _DamagedError(f"the compressed file is damaged ({error})") from None


def _read_content(stream: BinaryIO | gzip.GzipFile, head: bytes, is_first: bool) -> bytes | str:
    if len(head) < _HEAD.size:
        raise _DamagedError("the file ends within the record")
    length, length_checksum = _HEAD.unpack(head)
    if length_checksum != mask(google_crc32c.value(head[:8])) or length > _LONGEST_RECORD:
        kind = ". Is it a TFRecord file? Compressed ones need the ending .gz" if is_first else ""
        raise _DamagedError(f"the length of the record is damaged{kind}")
    content = _read(stream, length)
    tail = _read(stream, _CHECKSUM.size)
    if len(content) < length or len(tail) < _CHECKSUM.size:
        raise _DamagedError("the file ends within the record")
    if _CHECKSUM.unpack(tail)[0] != mask(google_crc32c.value(content)):
        return "its checksum is wrong: the content is damaged"
    return content


def mask(crc: int) -> int:
    """Mask a checksum as TFRecord does: rotate it and add a constant."""
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
