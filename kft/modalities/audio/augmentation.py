"""Random changes of training recordings, as a pure function of (seed, epoch, example)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from kft.modalities.audio.input_spec import WAVEFORM


@dataclass(frozen=True)
class AudioJitter:
    """Shifted, louder or softer, noisy, and partly deaf: a change of waveforms.

    Stretches of time and bands of frequency are removed as SpecAugment removes them from a
    spectrogram, but from the waveform, so that every front end and raw samples gain from them.

    Attributes:
        shift: Largest shift in time, as a share of the length; what leaves at one end comes
            back at the other.
        decibels: Largest change of the level.
        noise: Lowest ratio of signal to white noise, in decibels; None for no noise.
        time_masks: Number of stretches of time that are silenced.
        band_masks: Number of bands of frequency that are removed.
        longest_mask: Longest stretch, and widest band, as a share of time and of the mel scale.

    Source: Park et al., SpecAugment, arXiv:1904.08779.
    """

    shift: float = 0.0
    decibels: float = 0.0
    noise: float | None = None
    time_masks: int = 0
    band_masks: int = 0
    longest_mask: float = 0.15

    def __call__(self, inputs: Mapping[str, tf.Tensor], seeds: tf.Tensor) -> dict[str, tf.Tensor]:
        """Change each recording by its own seed.

        Args:
            inputs: {"waveform": float32 (batch, samples)}.
            seeds: int32 (batch, 2).
        """
        waveforms = inputs[WAVEFORM]
        changed = tf.map_fn(
            lambda pair: self._change(*pair),
            (waveforms, seeds),
            fn_output_signature=tf.TensorSpec(waveforms.shape[1:], tf.float32),
            parallel_iterations=32,
        )
        return {**inputs, WAVEFORM: changed}

    def _change(self, waveform: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        for_draws, for_noise = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
        num_masks = self.time_masks + self.band_masks
        draws = tf.random.stateless_uniform((3 + 2 * num_masks,), for_draws)
        shift, level, ratio = tf.unstack(2.0 * draws[:3] - 1.0)
        size = waveform.shape[0]
        changed = tf.roll(waveform, tf.cast(self.shift * shift * size, tf.int32), axis=0)
        lengths, places = tf.split(draws[3:], 2)
        for mask in range(num_masks):
            length = self.longest_mask * lengths[mask]
            begin = places[mask] * (1.0 - length)
            mute = _mute_stretch if mask < self.time_masks else _mute_band
            changed = mute(changed, begin, begin + length)
        if self.noise is not None:
            changed += self._make_noise(changed, ratio, for_noise)
        return tf.ensure_shape(changed * _to_factor(self.decibels * level), waveform.shape)

    def _make_noise(self, waveform: tf.Tensor, ratio: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """White noise: softer than the waveform by the lowest ratio or up to 20 dB more."""
        level = tf.sqrt(tf.reduce_mean(waveform**2))
        noise = tf.random.stateless_normal(tf.shape(waveform), seed)
        return noise * level * _to_factor(-(self.noise or 0.0) - 10.0 * (1.0 + ratio))


def _to_factor(decibels: tf.Tensor) -> tf.Tensor:
    return tf.exp(decibels * (math.log(10.0) / 20.0))


def _mute_stretch(waveform: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Silence what lies between two shares of the time."""
    place = tf.linspace(0.0, 1.0, waveform.shape[0])
    return tf.where((place >= begin) & (place < end), 0.0, waveform)


def _mute_band(waveform: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Remove what lies between two shares of the mel scale, of which the highest frequency is 1."""
    spectrum = tf.signal.rfft(waveform)
    # The mel scale, up to 8 kHz: log(1 + f / 700).
    top = 8000.0 / 700.0
    share = tf.linspace(0.0, 1.0, waveform.shape[0] // 2 + 1)
    place = tf.math.log1p(top * share) / math.log1p(top)
    kept = tf.cast((place < begin) | (place >= end), tf.complex64)
    return tf.signal.irfft(spectrum * kept, [waveform.shape[0]])


def make_light() -> AudioJitter:
    """Shifted by up to a tenth, and up to 6 dB louder or softer."""
    return AudioJitter(shift=0.1, decibels=6.0)


def make_medium() -> AudioJitter:
    """Make the preset `medium`: `light`, noise of at least 15 dB less, a masked time and band."""
    return AudioJitter(shift=0.1, decibels=6.0, noise=15.0, time_masks=1, band_masks=1)


def make_strong() -> AudioJitter:
    """Make the preset `strong`: `medium` with larger changes."""
    return AudioJitter(
        shift=0.2, decibels=10.0, noise=10.0, time_masks=2, band_masks=2, longest_mask=0.2
    )
