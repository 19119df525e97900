"""Waveforms -> log-mel spectrograms, as Keras layers that are part of the model."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

# YAMNet's: 25 ms every 10 ms at 16 kHz.
YAMNET_RATE = 16_000
YAMNET_BANDS = 64
_LOWEST_HERTZ, _HIGHEST_HERTZ = 125.0, 7500.0
_OFFSET = 1e-3
# Whisper's, at the same rate.
_WHISPER_WINDOW, _WHISPER_HOP = 400, 160
# Arguments that follow from the rate in a picture.
_DERIVED = ("window", "hop", "lowest", "highest")
# Logarithms of magnitudes that become black and white: silence, and the loudest tone.
_BLACK, _WHITE = float(np.log(_OFFSET)), 4.0


@keras.saving.register_keras_serializable(package="kft")
class LogMel(keras.layers.Layer):
    """Log-mel spectrogram: waveform (batch, samples) -> (batch, frames, bands, 1), float32.

    The logarithm of a weighted sum of magnitudes plus 0.001, over frames that begin at the first
    sample and are not centred: frame i starts at i * hop. It equals `tf.signal.stft` and
    `tf.signal.linear_to_mel_weight_matrix`, but for rounding; the Fourier transform is a
    convolution with cosines and sines, which every engine and converter of models knows.
    It computes in float32 under every dtype policy.

    Args:
        rate: Samples per second.
        bands: Number of mel bands.
        window: Samples of a frame.
        hop: Samples from one frame to the next.
        lowest: Lower end of the lowest band, in hertz.
        highest: Upper end of the highest band, in hertz.

    Source: Gemmeke et al., AudioSet, ICASSP 2017; the defaults are YAMNet's,
    https://github.com/tensorflow/models/tree/master/research/audioset/yamnet.
    """

    def __init__(
        self,
        rate: int = YAMNET_RATE,
        bands: int = YAMNET_BANDS,
        *,
        window: int = 400,
        hop: int = 160,
        lowest: float = _LOWEST_HERTZ,
        highest: float = _HIGHEST_HERTZ,
        **options: Any,
    ) -> None:
        options["dtype"] = "float32"
        super().__init__(**options)
        self.rate, self.bands, self.window, self.hop = rate, bands, window, hop
        self.lowest, self.highest = lowest, highest
        self._fourier = _make_fourier_kernel(window, 2 ** int(np.ceil(np.log2(window))))
        # Constants, not weights: nothing trains or freezes them.
        with tf.init_scope():
            self._mel = (
                tf.signal.linear_to_mel_weight_matrix(
                    bands, self._fourier.shape[-1] // 2, rate, lowest, highest, tf.float64
                )
                .numpy()
                .astype(np.float32)
            )

    def call(self, waveform: Any) -> Any:
        """Compute the spectrogram of `waveform` (batch, samples), float."""
        samples = ops.expand_dims(ops.cast(waveform, "float32"), -1)
        waves = ops.conv(samples, self._fourier, strides=self.hop, padding="valid")
        real, imaginary = ops.split(waves, 2, axis=-1)
        magnitudes = ops.sqrt(real * real + imaginary * imaginary)
        return ops.expand_dims(ops.log(ops.matmul(magnitudes, self._mel) + _OFFSET), -1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the spectrogram."""
        samples = input_shape[1]
        frames = None if samples is None else (samples - self.window) // self.hop + 1
        return (input_shape[0], frames, self.bands, 1)

    def get_config(self) -> dict[str, Any]:
        """Configuration from which Keras rebuilds the layer."""
        names = ("rate", "bands", "window", "hop", "lowest", "highest")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _make_fourier_kernel(window: int, length: int) -> np.ndarray:
    """Windowed cosines, then sines, of all frequencies: float32 (window, 1, 2 * frequencies).

    Args:
        window: Samples of a frame, under a Hann window.
        length: Samples of the transform, at least as many.
    """
    places = np.arange(window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * places / window)
    # Modulo the length, so that large products lose no digits.
    turns = np.outer(places, np.arange(length // 2 + 1)) % length
    angles = 2 * np.pi * turns / length
    waves = np.concatenate([np.cos(angles), -np.sin(angles)], axis=1) * hann[:, np.newaxis]
    return waves[:, np.newaxis].astype(np.float32)


@keras.saving.register_keras_serializable(package="kft")
class MelPicture(LogMel):
    """Log-mel spectrogram as a picture: (batch, samples) -> (batch, frames, bands, 3) in [0, 255].

    Time runs downward, 100 rows per second. Silence is black, the loudest tone white.

    Args:
        rate: Samples per second.
        bands: Number of mel bands, from 40 Hz to half the rate.
    """

    def __init__(self, rate: int, bands: int, **options: Any) -> None:
        frames = {"window": rate // 25, "hop": rate // 100}
        super().__init__(rate, bands, **frames, lowest=40.0, highest=rate / 2, **options)

    def call(self, waveform: Any) -> Any:
        """Draw `waveform` (batch, samples), float."""
        grey = 255.0 / (_WHITE - _BLACK) * (super().call(waveform) - _BLACK)
        return ops.repeat(ops.clip(grey, 0.0, 255.0), 3, axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the picture."""
        return (*super().compute_output_shape(input_shape)[:-1], 3)

    def get_config(self) -> dict[str, Any]:
        """Configuration from which Keras rebuilds the layer."""
        config = super().get_config()
        return {name: config[name] for name in config if name not in _DERIVED}


@keras.saving.register_keras_serializable(package="kft")
class WhisperLogMel(keras.layers.Layer):
    """Whisper's log-mel spectrogram: (batch, samples) -> (batch, samples // 160, bands), float32.

    Frames of 25 ms at 16 kHz, centred on every tenth millisecond, the waveform mirrored at its
    ends. Logarithms of the power, at most eight decades below the loudest of the recording, are
    moved to about [-1, 1]. Whisper's own converter pads every recording to 30 s; here it keeps its
    length.

    Args:
        bands: Number of mel bands, 80 or 128.

    Source: Radford et al., Robust Speech Recognition via Large-Scale Weak Supervision,
    arXiv:2212.04356; https://github.com/openai/whisper/blob/main/whisper/audio.py.
    """

    def __init__(self, bands: int, **options: Any) -> None:
        options["dtype"] = "float32"
        super().__init__(**options)
        self.bands = bands
        self._fourier = _make_fourier_kernel(_WHISPER_WINDOW, _WHISPER_WINDOW)
        self._mel = _make_slaney_filters(bands)

    def call(self, waveform: Any) -> Any:
        """Compute the spectrogram of `waveform` (batch, samples), float."""
        half = _WHISPER_WINDOW // 2
        samples = ops.pad(ops.cast(waveform, "float32"), [[0, 0], [half, half]], mode="reflect")
        waves = ops.conv(
            ops.expand_dims(samples, -1), self._fourier, strides=_WHISPER_HOP, padding="valid"
        )
        # The last frame is centred on the end of the recording.
        real, imaginary = ops.split(waves[:, :-1], 2, axis=-1)
        power = ops.matmul(real * real + imaginary * imaginary, self._mel)
        levels = ops.log10(ops.maximum(power, 1e-10))
        loudest = ops.max(levels, axis=(1, 2), keepdims=True)
        return (ops.maximum(levels, loudest - 8.0) + 4.0) / 4.0

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The shape of the spectrogram."""
        samples = input_shape[1]
        return (input_shape[0], None if samples is None else samples // _WHISPER_HOP, self.bands)

    def get_config(self) -> dict[str, Any]:
        """Configuration from which Keras rebuilds the layer."""
        return {**super().get_config(), "bands": self.bands}


def _make_slaney_filters(bands: int) -> np.ndarray:
    """Triangles of equal area on the mel scale of Slaney's Auditory Toolbox: (201, bands).

    The scale is linear up to 1 kHz, with 15 bands, and logarithmic above: 27 bands per factor 6.4.
    """
    hertz = np.fft.rfftfreq(_WHISPER_WINDOW, 1.0 / YAMNET_RATE)
    top = 15.0 + 27.0 * np.log(YAMNET_RATE / 2 / 1000.0) / np.log(6.4)
    mels = np.linspace(0.0, top, bands + 2)
    linear, logarithmic = mels * 200.0 / 3.0, 1000.0 * 6.4 ** ((mels - 15.0) / 27.0)
    edges = np.where(mels < 15.0, linear, logarithmic)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (hertz[:, np.newaxis] - low) / (centre - low)
    falling = (high - hertz[:, np.newaxis]) / (high - centre)
    return (np.clip(np.minimum(rising, falling), 0.0, None) * 2.0 / (high - low)).astype(np.float32)
