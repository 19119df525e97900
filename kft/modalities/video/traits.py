"""Properties of videos that the audit compares with the class, and facts for its overview."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kft.modalities.audit_records import Fact, Measure, Property
from kft.modalities.video.inspection import Inspection

# Where most values are equal their deviation is zero; so much difference is never odd.
_LEAST_LENGTH_DEVIATION = float(np.log(1.25))
_LEAST_BRIGHTNESS_DEVIATION = 8.0

Seen = Sequence[Inspection]


def list_properties(seen: Seen) -> tuple[Property, ...]:
    """Format, size, frame rate and sound track; length, brightness and motion."""
    return (
        Property.of_words("file format", [_name_format(each) for each in seen]),
        Property.of_words("frame size", [f"{each.width} x {each.height}" for each in seen]),
        Property.of_words("frame rate", [_name_rate(each) for each in seen]),
        Property.of_words("sound track", ["with sound" if e.has_sound else "none" for e in seen]),
        Property.of_numbers("number of frames", [each.num_frames for each in seen], "{:.0f}"),
        _make_duration(seen),
        Property.of_numbers("brightness", [each.brightness for each in seen], "{:.0f} of 255"),
        Property.of_numbers("motion", [each.motion for each in seen], "{:.2f} per frame"),
    )


def _make_duration(seen: Seen) -> Property:
    """The duration in seconds; 0 where none is stated, which is a difference too."""
    return Property.of_numbers("duration", [each.seconds or 0.0 for each in seen], "{:.2f} s")


def list_measures(seen: Seen) -> tuple[Measure, ...]:
    """Number of frames and brightness."""
    frames = np.array([each.num_frames for each in seen], np.float64)
    brightness = np.array([each.brightness for each in seen], np.float64)
    return (
        Measure(
            "length",
            np.log(frames),
            _LEAST_LENGTH_DEVIATION,
            tuple(f"{value:.0f} frames" for value in frames),
        ),
        Measure(
            "brightness",
            brightness,
            _LEAST_BRIGHTNESS_DEVIATION,
            tuple(f"{value:.0f} of 255" for value in brightness),
        ),
    )


def name_kinds(seen: Seen) -> tuple[str, ...]:
    """Format, size and frame rate in words."""
    return tuple(
        f"{_name_format(each)}, {each.width} x {each.height}, {_name_rate(each)}" for each in seen
    )


def _name_format(each: Inspection) -> str:
    return f"{each.format} ({each.encoding})"


def _name_rate(each: Inspection) -> str:
    return "no stated rate" if each.rate is None else f"{each.rate:.3g} per second"


def summarise(seen: Seen) -> tuple[Fact, ...]:
    """Durations, sizes, rates and formats; nothing where there is no video."""
    if not seen:
        return ()
    frames = [each.num_frames for each in seen]
    least, median, greatest = min(frames), float(np.median(frames)), max(frames)
    minutes = sum(each.seconds or 0.0 for each in seen) / 60
    spread = {"least": least, "median": median, "greatest": greatest}
    return (
        Fact("frames", "Frames", spread, f"{least} to {greatest}, median {median:g}"),
        Fact("total_minutes", "Minutes in all", minutes, f"{minutes:.3g}"),
        Fact.of_words("sizes", "Sizes", [f"{each.width} x {each.height}" for each in seen]),
        Fact.of_words("rates", "Frame rates", map(_name_rate, seen)),
        Fact.of_words("formats", "Formats", map(_name_format, seen)),
    )


def summarise_group(seen: Seen) -> tuple[Fact, ...]:
    """Median length and mean motion."""
    frames = float(np.median([each.num_frames for each in seen])) if seen else 0.0
    motion = float(np.mean([each.motion for each in seen])) if seen else 0.0
    return (
        Fact("median_frames", "median length", frames, f"{frames:g} frames"),
        Fact("mean_motion", "mean motion", round(motion, 2), f"{motion:.2f}"),
    )
