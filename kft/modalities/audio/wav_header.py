"""The header of a WAV file: number format, channels, rate; whether all samples are there."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
# Programs that write to a pipe cannot go back and fill in the size of the samples: they leave 0,
# or the largest number that they know less their header.
LONGEST_DATA = 0x7FFFF000
# What a decoder other than the graph's may know.
_NAMES = {
    2: "ADPCM",
    6: "A-law",
    7: "mu-law",
    0x11: "IMA ADPCM",
    0x31: "GSM",
    0x55: "MP3",
}
_IN_GRAPH = {(PCM, 1), (PCM, 2), (PCM, 3), (PCM, 4), (FLOAT, 4), (FLOAT, 8)}


class WavError(Exception):
    """Why a WAV file cannot be used."""


@dataclass(frozen=True)
class WavHeader:
    """Facts of a WAV file.

    Attributes:
        encoding: Such as `PCM of 16 bits`.
        channels: Number of channels.
        rate: Samples per second.
        num_frames: Samples of each channel that the file holds.
        is_usual: Whether the graph decodes it.
    """

    encoding: str
    channels: int
    rate: int
    num_frames: int
    is_usual: bool

    @property
    def seconds(self) -> float:
        """Length of the recording."""
        return self.num_frames / self.rate


def is_wav(content: bytes) -> bool:
    """Whether a file begins as a WAV file."""
    return content[:4] in (b"RIFF", b"RF64") and content[8:12] == b"WAVE"


def read_wav_header(content: bytes) -> WavHeader:
    """Read the header of a file for which `is_wav` holds.

    Raises:
        WavError: It is damaged, cut off or empty.
    """
    form, at, stated = _find_chunks(content)
    tag, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", form[:16])
    if tag == EXTENSIBLE and len(form) >= 26:
        (tag,) = struct.unpack("<H", form[24:26])
    if not (channels and rate and frame_bytes):
        raise WavError(
            f"damaged: its header says {channels} channels at {rate} Hz in {frame_bytes} bytes"
        )
    held = len(content) - at
    is_open = stated == 0 or stated >= LONGEST_DATA
    if not is_open and stated > held:
        raise WavError(
            f"cut off: its header promises {stated:,} bytes of samples, the file holds {held:,}"
        )
    num_frames = (held if is_open else stated) // frame_bytes
    if not num_frames:
        raise WavError("a WAV file without samples")
    sample_bytes = (bits + 7) // 8
    name = {PCM: "PCM", FLOAT: "float"}.get(tag)
    return WavHeader(
        f"{name} of {bits} bits" if name else _NAMES.get(tag, f"encoding {tag}"),
        channels,
        rate,
        num_frames,
        (tag, sample_bytes) in _IN_GRAPH and frame_bytes == channels * sample_bytes,
    )


def _find_chunks(content: bytes) -> tuple[bytes, int, int]:
    """Find the format, the place of the samples, and their size in bytes as stated."""
    form = b""
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack("<4sI", content[at : at + 8])
        at += 8
        if name == b"fmt ":
            form = content[at : at + size]
        elif name == b"data":
            if len(form) < 16:
                raise WavError("damaged: a WAV file without a format before its samples")
            return form, at, size
        at += size + size % 2
    raise WavError("cut off or damaged: a WAV file without samples")
