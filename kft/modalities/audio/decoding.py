"""The bytes of a WAV file -> a waveform of fixed length: shared by training and the export."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from kft.modalities.audio.input_spec import WAVEFORM
from kft.modalities.audio.resampling import resample
from kft.modalities.audio.wav_decoding import GraphWav, open_wav


@dataclass(frozen=True)
class AudioDecoder:
    """A WAV file -> float32 samples {"waveform": (num_samples,)}.

    Channels are mixed down, and the recording is resampled. One that is longer than `num_samples`
    is heard in windows of equal length, spread evenly from its beginning to its end, one after
    the other; of a shorter one the rest is filled.

    Attributes:
        rate: Samples per second of the waveform.
        num_samples: Length of the waveform.
        num_windows: Into which the waveform of a long recording is divided.
        fill: What follows a short recording: `repeat` has it again and again, `silence` zeros.
    """

    rate: int
    num_samples: int
    num_windows: int = 1
    fill: Literal["repeat", "silence"] = "repeat"

    @property
    def output(self) -> dict[str, tf.TensorSpec]:
        """The waveform, float32 (num_samples,)."""
        return {WAVEFORM: tf.TensorSpec((self.num_samples,), tf.float32)}

    def __call__(self, content: tf.Tensor) -> dict[str, tf.Tensor]:
        """The waveform of one file.

        Raises:
            InvalidArgumentError: The file is not WAV of a known number format, or is cut off.
        """
        wav = open_wav(content)
        samples = resample(self._read_windows(wav), wav.rate, self.rate)
        return {WAVEFORM: tf.ensure_shape(self._fit(samples), (self.num_samples,))}

    def _read_windows(self, wav: GraphWav) -> tf.Tensor:
        """Select the part of the recording that the model hears, at its own rate."""
        # Rounded up, so that no sample is missing after resampling.
        heard = -(-self.num_samples * wav.rate // self.rate)
        length = -(-heard // self.num_windows)
        last = wav.num_frames - length
        if self.num_windows == 1:
            spread = (last // 2)[tf.newaxis]
        else:
            spread = last * tf.range(self.num_windows, dtype=tf.int64) // (self.num_windows - 1)
        is_short = wav.num_frames <= heard
        # All windows but the first of a short recording are empty.
        zeros = tf.zeros_like(spread)
        whole = tf.concat([wav.num_frames[tf.newaxis], zeros[1:]], axis=0)
        first = tf.where(is_short, zeros, spread)
        return wav.read(first, tf.where(is_short, whole, zeros + length))

    def _fit(self, samples: tf.Tensor) -> tf.Tensor:
        if self.fill == "repeat":
            return tf.gather(samples, tf.range(self.num_samples) % tf.size(samples))
        samples = samples[: self.num_samples]
        return tf.pad(samples, [[0, self.num_samples - tf.size(samples)]])
