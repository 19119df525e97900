"""Recordings made from tones and noise, and WAV files of every number format."""

from __future__ import annotations

import struct

import numpy as np


def encode_24(samples: np.ndarray) -> bytes:
    """Three bytes of each number, little endian."""
    wide = np.round(samples * (2**23 - 1)).astype("<i4").reshape(-1, 1).view(np.uint8)
    return wide[:, :3].tobytes()


# Name -> tag, bytes of one number, and samples in [-1, 1] -> bytes.
ENCODINGS = {
    "PCM of 8 bits": (1, 1, lambda x: np.round(x * 127 + 128).astype(np.uint8).tobytes()),
    "PCM of 16 bits": (1, 2, lambda x: np.round(x * 32767).astype("<i2").tobytes()),
    "PCM of 24 bits": (1, 3, encode_24),
    "PCM of 32 bits": (1, 4, lambda x: np.round(x * (2**31 - 1)).astype("<i4").tobytes()),
    "float of 32 bits": (3, 4, lambda x: x.astype("<f4").tobytes()),
    "float of 64 bits": (3, 8, lambda x: x.astype("<f8").tobytes()),
}


def make_tone(
    hertz: float = 440.0, *, rate: int = 16_000, seconds: float = 0.5, level: float = 0.5
) -> np.ndarray:
    """float64 (samples,)."""
    return level * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def make_speech(seed: int = 0, *, rate: int = 16_000, seconds: float = 0.8) -> np.ndarray:
    """Noise whose level and colour change from syllable to syllable: float64 (samples,)."""
    random = np.random.default_rng(seed)
    size = round(rate * seconds)
    spectrum = np.fft.rfft(random.normal(size=size))
    hertz = np.fft.rfftfreq(size, 1 / rate)
    parts = np.zeros(size)
    for centre in random.uniform(200, 3500, 5):
        filtered = np.fft.irfft(spectrum * np.exp(-(((hertz - centre) / 150) ** 2)), size)
        place = np.linspace(0, 1, size)
        parts += filtered * np.exp(-(((place - random.uniform(0, 1)) / 0.15) ** 2))
    return 0.5 * parts / np.abs(parts).max()


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a RIFF file, of an even number of bytes."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def make_wav(
    samples: np.ndarray,
    rate: int = 16_000,
    encoding: str = "PCM of 16 bits",
    *,
    before: bytes = b"",
    after: bytes = b"",
    is_extensible: bool = False,
    stated_bytes: int | None = None,
) -> bytes:
    """A WAV file.

    Args:
        samples: float (samples,) or (samples, channels), in [-1, 1].
        rate: Samples per second.
        encoding: One of `ENCODINGS`.
        before: Chunks before the samples.
        after: Bytes after the samples.
        is_extensible: Whether the header has the form for many channels.
        stated_bytes: What the header says of the size of the samples, if not the truth.
    """
    tag, size, encode = ENCODINGS[encoding]
    samples = samples.reshape(len(samples), 1) if samples.ndim == 1 else samples
    channels = samples.shape[1]
    form = struct.pack(
        "<HHIIHH",
        0xFFFE if is_extensible else tag,
        channels,
        rate,
        rate * channels * size,
        channels * size,
        8 * size,
    )
    if is_extensible:
        guid = struct.pack("<H", tag) + bytes.fromhex("000000001000800000aa00389b71")
        form += struct.pack("<HHI", 22, 8 * size, 0) + guid
    content = encode(samples)
    data = chunk(b"data", content)
    if stated_bytes is not None:
        data = b"data" + struct.pack("<I", stated_bytes) + data[8:]
    body = b"WAVE" + chunk(b"fmt ", form) + before + data + after
    return b"RIFF" + struct.pack("<I", len(body)) + body
