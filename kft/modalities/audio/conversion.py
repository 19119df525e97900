"""Recordings that the graph cannot decode: converted once, to WAV files of 16 bits."""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kft.errors import first_line
from kft.modalities.audio.wav_header import WavError, read_wav_header
from kft.modalities.checked import FindFolder, UnusableError
from kft.runs.atomic import atomic_file
from kft.runs.caches import cache_folder

VERSION = 1  # counts changes of what a conversion gives
_INSTALL = "which needs soundfile: install it with `pip install 'kft[audio]'`"
_IS_LAST_PAGE = 4
# Container -> form and place of the number of bytes, and bytes that it does not count.
_SIZES = {"AIFF": (">I", 4, 8), "AU": (">I", 8, 24), "W64": ("<Q", 16, 0)}


@dataclass(frozen=True)
class Decoded:
    """A recording that soundfile decoded.

    Attributes:
        encoding: Such as `Vorbis`, in soundfile's words.
        channels: Of the file.
        rate: Samples per second.
        samples: float32 (samples,), mixed down to one channel.
    """

    encoding: str
    channels: int
    rate: int
    samples: np.ndarray


def decode_by_soundfile(content: bytes, container: str, most_seconds: float) -> Decoded:
    """Decode a file of any format that libsndfile knows.

    Args:
        content: The whole file.
        container: Its format, for messages.
        most_seconds: Longest recording that is decoded.

    Raises:
        UnusableError: It is damaged, cut off or too long, or soundfile is not installed.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise UnusableError(f"{container}, {_INSTALL} ({first_line(error)[:-1]})") from None
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            encoding, channels, rate = file.subtype, file.channels, file.samplerate
            stated = file.frames
            refuse_long(stated / rate, most_seconds)
            samples = file.read(dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise UnusableError(f"damaged or cut off: {first_line(error)[:-1]}") from None
    if container == "OGG":
        _refuse_open_ogg(content)
    elif container in _SIZES:
        _refuse_short(content, *_SIZES[container])
    # It gives what it could read of a file that is cut off, and says nothing.
    if len(samples) < stated:
        raise UnusableError(
            f"cut off: its header promises {stated:,} samples, {len(samples):,} can be decoded"
        )
    if not len(samples):
        raise UnusableError(f"{container} without samples")
    return Decoded(encoding, channels, rate, samples.mean(axis=1))


def refuse_long(seconds: float, most_seconds: float) -> None:
    """Refuse a recording that is too long to be decoded.

    Raises:
        UnusableError: It says how long it is.
    """
    if seconds > most_seconds:
        raise UnusableError(
            f"{seconds / 60:.3g} minutes; at most {most_seconds / 60:g} are decoded "
            "(data.audio.max_minutes)"
        )


def _refuse_open_ogg(content: bytes) -> None:
    """Refuse an OGG file whose last page is not there, or not whole."""
    last = content.rfind(b"OggS")
    page = content[last : last + 27]
    if len(page) == 27:
        sizes = content[last + 27 : last + 27 + page[26]]
        is_whole = last + 27 + page[26] + sum(sizes) <= len(content)
        if page[5] & _IS_LAST_PAGE and is_whole:
            return
    raise UnusableError("cut off: its last page is missing")


def _refuse_short(content: bytes, form: str, place: int, uncounted: int) -> None:
    """Refuse a file that is shorter than its header says."""
    (stated,) = struct.unpack_from(form, content, place)
    is_open = stated in (0, 2**32 - 1)
    if not is_open and stated + uncounted > len(content) + 1:
        raise UnusableError(
            f"cut off: its header promises {stated + uncounted:,} bytes, the file holds "
            f"{len(content):,}"
        )


def encode_wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of 16 bits and one channel.

    Args:
        samples: float (samples,); what is beyond [-1, 1] is clipped.
        rate: Samples per second.
    """
    values = np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16)
    data = struct.pack("<4sI", b"data", len(values)) + values
    return struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data


def cached_recordings() -> Path:
    """The folder of the cache for converted recordings, for runs that come back to them."""
    return cache_folder("converted") / "recordings"


def keep_converted(decoded: Decoded, digest: str, find_folder: FindFolder) -> Path:
    """The WAV file of a converted recording, written unless it is there.

    Args:
        decoded: The recording.
        digest: SHA-256 of the file that was converted.
        find_folder: Gives the folder that it lies in.
    """
    key = hashlib.sha256(f"{VERSION}\n{digest}\n".encode()).hexdigest()[:32]
    path = find_folder() / key[:2] / f"{key}.wav"
    if not _is_whole(path):
        with atomic_file(path) as temporary:
            temporary.write_bytes(encode_wav(decoded.samples, decoded.rate))
    return path


def _is_whole(path: Path) -> bool:
    try:
        read_wav_header(path.read_bytes())
    except (OSError, WavError):
        return False
    return True


def encode_feature(feature: Any) -> Any:
    """Make a function that encodes an element of TensorFlow Datasets' `Audio` as a WAV file.

    Raises:
        UnusableError: It is another feature, or states no sample rate.
    """
    import tensorflow_datasets as tfds

    if not isinstance(feature, tfds.features.Audio) or feature.sample_rate is None:
        raise UnusableError("Expected an Audio feature that states its sample rate.")
    rate = feature.sample_rate

    def encode(values: np.ndarray) -> bytes:
        values = np.asarray(values)
        scale = 32768.0 if values.dtype.kind == "i" else 1.0
        mono = values if values.ndim == 1 else values.mean(axis=-1)
        return encode_wav(mono / scale, rate)

    return encode
