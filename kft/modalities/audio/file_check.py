"""The content of one file: whether it is a recording that can be used, as it is or as converted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import PurePath
from typing import Any

import numpy as np

from kft.config import AudioConfig
from kft.modalities.audio.containers import find_container
from kft.modalities.audio.conversion import (
    Decoded,
    cached_recordings,
    decode_by_soundfile,
    keep_converted,
    refuse_long,
)
from kft.modalities.audio.inspection import CheckedRecording, Inspection
from kft.modalities.audio.lengths import MOST_SECONDS
from kft.modalities.audio.measures import SILENT_PEAK, fingerprint, measure
from kft.modalities.audio.wav_header import WavError, WavHeader, read_wav_header
from kft.modalities.checked import CheckOptions, FileContent, UnusableError

# Endings -> the format that they promise.
_ENDINGS = {
    **dict.fromkeys((".wav", ".wave"), "WAV"),
    **dict.fromkeys((".ogg", ".oga", ".opus"), "OGG"),
    **dict.fromkeys((".aif", ".aiff"), "AIFF"),
    **{f".{name.lower()}": name for name in ("FLAC", "MP3", "AU", "W64")},
}
# One decibel above full scale: decoders of MP3 often exceed it by less.
_AUDIBLY_CLIPPED = 1.12
WRONG_ENDING = "ending does not match the content"


def check_recording(
    file: FileContent, settings: AudioConfig, options: CheckOptions
) -> CheckedRecording:
    """A file as a record, once it is sure that it is a recording that can be used.

    Args:
        file: Its content; of its path the ending counts.
        settings: The `data.audio` section.
        options: How closely it is looked at.

    Raises:
        UnusableError: It is no recording that can be used.
    """
    container = find_container(file.content)
    header = _read_header(file.content) if container == "WAV" else None
    most_seconds = 60.0 * settings.max_minutes
    if header is not None and header.is_usual:
        refuse_long(header.seconds, most_seconds)
        decoded = Decoded(header.encoding, header.channels, header.rate, decode_wav(file.content))
        repaired: tuple[str, ...] = ()
    else:
        decoded = decode_by_soundfile(file.content, container, most_seconds)
        repaired = (container if header is None else f"WAV with {header.encoding}",)
    _refuse_empty(decoded.samples)
    path, size, changed_ns = file.path, file.size, file.changed_ns
    if repaired:
        kept = keep_converted(decoded, file.digest, options.find_folder or cached_recordings)
        status = kept.stat()
        path, size, changed_ns = str(kept), status.st_size, status.st_mtime_ns
    known: dict[str, Any] = {
        "name": file.name,
        "path": path,
        "digest": file.digest,
        "size": size,
        "changed_ns": changed_ns,
        "format": container,
        "encoding": decoded.encoding,
        "channels": decoded.channels,
        "rate": decoded.rate,
        "seconds": len(decoded.samples) / decoded.rate,
        "repaired": repaired,
        "noticed": tuple(
            _find_remarks(decoded, container, file.path, settings, is_converted=bool(repaired))
        ),
    }
    if options.with_likeness:
        known["likeness"] = fingerprint(decoded.samples, decoded.rate)
    if not options.with_measures:
        return CheckedRecording(**known)
    return Inspection(**known, **asdict(measure(decoded.samples, decoded.rate)))


def _read_header(content: bytes) -> WavHeader:
    try:
        return read_wav_header(content)
    except WavError as error:
        raise UnusableError(str(error)) from None


def decode_wav(content: bytes) -> np.ndarray:
    """Decode a file as training and serving do, at its own rate, to float32 (samples,).

    Args:
        content: A file whose header says that the graph decodes it.
    """
    import tensorflow as tf

    with tf.device("CPU"):
        samples: np.ndarray = _make_graph()(tf.constant(content)).numpy()
    return samples


@cache
def _make_graph() -> Any:
    import tensorflow as tf

    from kft.modalities.audio.wav_decoding import open_wav

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((), tf.string)])
    def decode(content: tf.Tensor) -> tf.Tensor:
        wav = open_wav(content)
        return wav.read(tf.zeros((1,), tf.int64), wav.num_frames[tf.newaxis])

    return decode


def _refuse_empty(samples: np.ndarray) -> None:
    """Refuse samples that are no numbers, or that all stand at zero."""
    if not np.isfinite(samples).all():
        raise UnusableError("damaged: some of its samples are not finite numbers")
    # Some microphones give a constant: nothing is to be heard of that either.
    if np.abs(samples - samples[0]).max() <= SILENT_PEAK:
        raise UnusableError("silent: all samples are the same")


def _find_remarks(
    decoded: Decoded, container: str, path: str, settings: AudioConfig, *, is_converted: bool
) -> Iterator[str]:
    # A WAV file of floating-point numbers is read as it is; its converted copy has 16 bits.
    if is_converted and np.abs(decoded.samples).max() > _AUDIBLY_CLIPPED:
        yield "louder than full scale, clipped in the copy"
    if decoded.channels > 1:
        yield f"{decoded.channels} channels mixed down"
    most = MOST_SECONDS if settings.seconds == "auto" else settings.seconds
    if len(decoded.samples) > most * decoded.rate:
        yield f"longer than {most:g} s, heard in windows"
    promised = _ENDINGS.get(PurePath(path).suffix.lower())
    if promised is not None and promised != container:
        yield WRONG_ENDING
