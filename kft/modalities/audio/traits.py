"""Traits of recordings for the audit: rate, length, level, bandwidth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from kft.modalities.audio.inspection import Inspection
from kft.modalities.audit_records import Fact, Measure, Property

# Where most values are equal their deviation is zero; so much difference is never odd.
_LEAST_LENGTH_DEVIATION = float(np.log(1.25))
_LEAST_LOUDNESS_DEVIATION = 1.5

Seen = Sequence[Inspection]


@dataclass(frozen=True)
class Spread:
    """The range of some numbers."""

    least: float
    median: float
    greatest: float

    def __str__(self) -> str:
        return f"{self.least:.3g} to {self.greatest:.3g}, median {self.median:.3g}"


def list_properties(seen: Seen) -> tuple[Property, ...]:
    """Sample rate, channels, file format, bandwidth, length and level."""
    return (
        Property.of_words("sample rate", [f"{each.rate} Hz" for each in seen]),
        Property.of_words("number of channels", [str(each.channels) for each in seen]),
        Property.of_words("file format", [_name_format(each) for each in seen]),
        Property.of_numbers("bandwidth", [each.bandwidth for each in seen], "{:.0f} Hz"),
        Property.of_numbers("duration", [each.seconds for each in seen], "{:.2f} s"),
        Property.of_numbers("loudness", [each.loudness for each in seen], "{:.1f} dB"),
    )


def list_measures(seen: Seen) -> tuple[Measure, ...]:
    """Duration and loudness."""
    seconds = np.array([each.seconds for each in seen], np.float64)
    loudness = np.array([each.loudness for each in seen], np.float64)
    return (
        Measure(
            "duration",
            np.log(seconds),
            _LEAST_LENGTH_DEVIATION,
            tuple(f"{value:.2f} s" for value in seconds),
        ),
        Measure(
            "loudness",
            loudness,
            _LEAST_LOUDNESS_DEVIATION,
            tuple(f"{value:.1f} dB" for value in loudness),
        ),
    )


def name_kinds(seen: Seen) -> tuple[str, ...]:
    """Format, rate and channels in words."""
    return tuple(
        f"{_name_format(each)}, {each.rate} Hz, "
        f"{each.channels} channel{'' if each.channels == 1 else 's'}"
        for each in seen
    )


def _name_format(each: Inspection) -> str:
    return f"{each.format} ({each.encoding})"


def summarise(seen: Seen) -> tuple[Fact, ...]:
    """Durations, rates, channels and formats; nothing where there is no recording."""
    if not seen:
        return ()
    seconds = np.array([each.seconds for each in seen])
    spread = Spread(float(seconds.min()), float(np.median(seconds)), float(seconds.max()))
    return (
        Fact("seconds", "Seconds", asdict(spread), str(spread)),
        Fact("total_hours", "Hours in all", total := float(seconds.sum() / 3600), f"{total:.3g}"),
        Fact.of_words("sample_rates", "Sample rates", [f"{each.rate} Hz" for each in seen]),
        Fact.of_words("channels", "Channels", [str(each.channels) for each in seen]),
        Fact.of_words("formats", "Formats", map(_name_format, seen)),
    )


def summarise_group(seen: Seen) -> tuple[Fact, ...]:
    """Median length and mean level."""
    seconds = float(np.median([each.seconds for each in seen])) if seen else 0.0
    loudness = float(np.mean([each.loudness for each in seen])) if seen else 0.0
    return (
        Fact("median_seconds", "median length", round(seconds, 3), f"{seconds:.2f} s"),
        Fact("mean_loudness", "mean level", round(loudness, 1), f"{loudness:.1f} dB"),
    )
