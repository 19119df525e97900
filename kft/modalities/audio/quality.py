"""Search for recordings that hold little: silent, soft, clipped, short."""

from __future__ import annotations

from collections.abc import Sequence

from kft.findings import Finding
from kft.modalities.audio.inspection import Inspection
from kft.modalities.poor_examples import PoorCase, find_poor_examples

# A syllable takes longer.
SHORT_SECONDS = 0.1
# Decibels of full scale: noise of a good microphone without a signal.
SOFT_LOUDNESS = -60.0
# More than one sample in a thousand at the limit is heard as distortion.
CLIPPED_SHARE = 0.001
# Of a recording that is trimmed to what it shows less than half is quiet.
QUIET_SHARE = 0.8


# Each recording is reported once, by the first case that applies.
_CASES = (
    PoorCase(
        "short",
        lambda seen: seen.seconds < SHORT_SECONDS,
        f"shorter than {SHORT_SECONDS:g} s, too short to tell anything. Remove them, or find the "
        "originals.",
        lambda seen: f"{seen.seconds:.3f} s",
    ),
    PoorCase(
        "soft",
        lambda seen: seen.loudness < SOFT_LOUDNESS,
        f"that are nearly silent (below {SOFT_LOUDNESS:g} dB of full scale). Listen whether they "
        "hold what their label says.",
        lambda seen: f"{seen.loudness:.0f} dB",
    ),
    PoorCase(
        "clipped",
        lambda seen: seen.clipped_share > CLIPPED_SHARE,
        f"that are clipped (more than {CLIPPED_SHARE:.1%} of the samples stand at the limit). "
        "Record them at a lower level, or look whether one class has more of them.",
        lambda seen: f"{seen.clipped_share:.1%} at the limit",
    ),
    PoorCase(
        "mostly_quiet",
        lambda seen: seen.quiet_share > QUIET_SHARE,
        f"that are quiet for more than {QUIET_SHARE:.0%} of their length (40 dB below their "
        "loudest part). Trim them: what the label speaks of is a small part.",
        lambda seen: f"{seen.quiet_share:.0%} quiet",
    ),
)


def find_poor(seen: Sequence[Inspection]) -> tuple[Finding, ...]:
    """Find short, soft, clipped and mostly quiet recordings, by thresholds that the text states."""
    return find_poor_examples(seen, _CASES, noun="recording")
