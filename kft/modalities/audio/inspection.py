"""Record of a checked recording."""

from __future__ import annotations

from dataclasses import dataclass

from kft.modalities.checked import Checked


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRecording(Checked):
    """A recording that can be used.

    Attributes:
        format: By content: `WAV`, `FLAC`, `OGG`, `MP3` …
        encoding: Of its samples: `PCM of 16 bits`, `VORBIS` …
        channels: Number of channels.
        rate: Samples per second.
        seconds: Length.
    """

    format: str
    encoding: str
    channels: int
    rate: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(CheckedRecording):
    """A recording that can be used, and what its samples say, mixed down to one channel.

    Attributes:
        peak: Largest absolute value; 1 is full scale.
        loudness: Root mean square, in decibels of full scale.
        quiet_share: Share of the recording more than 40 dB below its loudest 50 ms.
        clipped_share: Share of the samples that stand at the peak with a neighbour, where the
            peak is full scale or nearly.
        bandwidth: Frequency below which 99.9 % of the energy lies, in hertz.
    """

    peak: float
    loudness: float
    quiet_share: float
    clipped_share: float
    bandwidth: float
