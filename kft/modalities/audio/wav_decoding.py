"""WAV in the graph: TensorFlow's own decoder reads 16-bit PCM alone, with the plainest header."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from kft.modalities.audio.wav_header import EXTENSIBLE, FLOAT, LONGEST_DATA, PCM


@dataclass(frozen=True)
class GraphWav:
    """A WAV file in the graph; all numbers are int64 scalars.

    Attributes:
        content: Scalar string, the whole file.
        encoding: Index of the number format in `_ENCODINGS`.
        channels: Number of channels.
        rate: Samples per second.
        frame_bytes: Bytes of one sample of all channels.
        start: Byte at which the samples begin.
        num_frames: Samples of each channel.
    """

    content: tf.Tensor
    encoding: tf.Tensor
    channels: tf.Tensor
    rate: tf.Tensor
    frame_bytes: tf.Tensor
    start: tf.Tensor
    num_frames: tf.Tensor

    def read(self, first: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Decode parts of the recording, one after the other, mixed down to one channel.

        Args:
            first: First frame of each part, int64 (parts,).
            count: Frames of each part, int64 (parts,).

        Returns:
            float32 (frames,), in [-1, 1] unless the file holds floats beyond.
        """
        parts = tf.strings.substr(
            self.content, self.start + first * self.frame_bytes, count * self.frame_bytes
        )
        joined = tf.strings.reduce_join(parts)
        values = tf.switch_case(
            tf.cast(self.encoding, tf.int32), [_bind(each.decode, joined) for each in _ENCODINGS]
        )
        return tf.reduce_mean(tf.reshape(values, (-1, self.channels)), axis=1)


def open_wav(content: tf.Tensor) -> GraphWav:
    """Read the header of a WAV file.

    Chunks of other kinds and bytes after the samples are skipped.

    Args:
        content: The whole file, scalar string.

    Raises:
        InvalidArgumentError: It is not a WAV file of a known number format, or is cut off.
    """
    start = tf.strings.substr(content, 0, 4)
    is_wav = tf.equal(tf.strings.substr(content, 8, 4), b"WAVE") & (
        tf.equal(start, b"RIFF") | tf.equal(start, b"RF64")
    )
    _require(is_wav, "not a WAV file")
    format_start, data_start, stated = _find_chunks(content)
    _require((format_start > 0) & (data_start > 0), "a WAV file without a format or samples")
    head = _read_bytes(content, format_start, 40)
    tag, channels, rate, bits = (_join(head, *at) for at in ((0, 2), (2, 2), (4, 4), (14, 2)))
    tag = tf.where(tf.equal(tag, EXTENSIBLE), _join(head, 24, 2), tag)
    sample_bytes = (bits + 7) // 8
    matches = tf.stack(
        [tf.equal(tag, each.tag) & tf.equal(sample_bytes, each.num_bytes) for each in _ENCODINGS]
    )
    frame_bytes = _join(head, 12, 2)
    is_known = tf.reduce_any(matches) & (channels > 0) & (rate > 0)
    is_known &= tf.equal(frame_bytes, channels * sample_bytes)
    _require(is_known, "a WAV file of an unknown number format")
    held = tf.cast(tf.strings.length(content), tf.int64) - data_start
    is_open = tf.equal(stated, 0) | (stated >= LONGEST_DATA)
    _require(is_open | (stated <= held), "cut off: its header promises more samples")
    num_frames = tf.where(is_open, held, stated) // frame_bytes
    _require(num_frames > 0, "a WAV file without samples")
    return GraphWav(
        content, tf.argmax(matches), channels, rate, frame_bytes, data_start, num_frames
    )


def _find_chunks(content: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Find where format and samples begin, 0 where they are missing, and the bytes of samples."""
    length = tf.cast(tf.strings.length(content), tf.int64)

    def goes_on(
        at: tf.Tensor, format_start: tf.Tensor, data: tf.Tensor, size: tf.Tensor
    ) -> tf.Tensor:
        return tf.equal(data, 0) & (at + 8 <= length)

    def step(
        at: tf.Tensor, format_start: tf.Tensor, data: tf.Tensor, size: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        name, own = tf.strings.substr(content, at, 4), _join(_read_bytes(content, at, 8), 4, 4)
        is_data = tf.equal(name, b"data")
        return (
            at + 8 + own + own % 2,
            tf.where(tf.equal(name, b"fmt "), at + 8, format_start),
            tf.where(is_data, at + 8, data),
            tf.where(is_data, own, size),
        )

    zero = tf.constant(0, tf.int64)
    found = tf.while_loop(goes_on, step, (tf.constant(12, tf.int64), zero, zero, zero))
    return found[1], found[2], found[3]


def _read_bytes(content: tf.Tensor, at: tf.Tensor, count: int) -> tf.Tensor:
    """The bytes from a place on, and zeros beyond the end: int64 (count,)."""
    values = tf.cast(tf.io.decode_raw(tf.strings.substr(content, at, count), tf.uint8), tf.int64)
    return tf.pad(values, [[0, count]])[:count]


def _join(head: tf.Tensor, at: int, count: int) -> tf.Tensor:
    """The whole number, little endian and without a sign, that stands at a place."""
    return tf.reduce_sum(head[at : at + count] * [256**i for i in range(count)])


def _require(condition: tf.Tensor, message: str) -> None:
    tf.debugging.Assert(condition, [message])


def _bind(decode: Callable[[tf.Tensor], tf.Tensor], raw: tf.Tensor) -> Callable[[], tf.Tensor]:
    return lambda: decode(raw)


def _decode_unsigned(raw: tf.Tensor) -> tf.Tensor:
    return (tf.cast(tf.io.decode_raw(raw, tf.uint8), tf.float32) - 128.0) / 128.0


def _decode_24(raw: tf.Tensor) -> tf.Tensor:
    low, middle, high = tf.unstack(
        tf.cast(tf.reshape(tf.io.decode_raw(raw, tf.uint8), (-1, 3)), tf.int32), axis=1
    )
    values = low + 256 * middle + 65536 * (high - 256 * (high // 128))
    return tf.cast(values, tf.float32) / 2.0**23


def _decode_whole(dtype: tf.DType) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda raw: tf.cast(tf.io.decode_raw(raw, dtype), tf.float32) / -float(dtype.min)


def _decode_float(dtype: tf.DType) -> Callable[[tf.Tensor], tf.Tensor]:
    return lambda raw: tf.cast(tf.io.decode_raw(raw, dtype), tf.float32)


@dataclass(frozen=True)
class _Encoding:
    """A number format: its tag, bytes of one number, and bytes -> float32 (numbers,)."""

    tag: int
    num_bytes: int
    decode: Callable[[tf.Tensor], tf.Tensor]


_ENCODINGS = (
    _Encoding(PCM, 1, _decode_unsigned),
    _Encoding(PCM, 2, _decode_whole(tf.int16)),
    _Encoding(PCM, 3, _decode_24),
    _Encoding(PCM, 4, _decode_whole(tf.int32)),
    _Encoding(FLOAT, 4, _decode_float(tf.float32)),
    _Encoding(FLOAT, 8, _decode_float(tf.float64)),
)
