"""What may be wrong with a recording that can be decoded: silent, soft, clipped, short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kft.findings import Finding, Flagged, count
from kft.modalities.audio.inspection import Inspection

# A syllable takes longer.
SHORT_SECONDS = 0.1
# Decibels of full scale: noise of a good microphone without a signal.
SOFT_LOUDNESS = -60.0
# More than one sample in a thousand at the limit is heard as distortion.
CLIPPED_SHARE = 0.001
# Of a recording that is trimmed to what it shows less than half is quiet.
QUIET_SHARE = 0.8


@dataclass(frozen=True)
class _Case:
    """One thing that may be wrong, and how to tell it."""

    kind: str
    is_so: Callable[[Inspection], bool]
    text: str
    note: Callable[[Inspection], str]


# A recording is told of once, by the first that is true of it.
_CASES = (
    _Case(
        "short",
        lambda seen: seen.seconds < SHORT_SECONDS,
        f"shorter than {SHORT_SECONDS:g} s, too short to tell anything. Remove them, or find the "
        "originals.",
        lambda seen: f"{seen.seconds:.3f} s",
    ),
    _Case(
        "soft",
        lambda seen: seen.loudness < SOFT_LOUDNESS,
        f"that are nearly silent (below {SOFT_LOUDNESS:g} dB of full scale). Listen whether they "
        "hold what their label says.",
        lambda seen: f"{seen.loudness:.0f} dB",
    ),
    _Case(
        "clipped",
        lambda seen: seen.clipped_share > CLIPPED_SHARE,
        f"that are clipped (more than {CLIPPED_SHARE:.1%} of the samples stand at the limit). "
        "Record them at a lower level, or look whether one class has more of them.",
        lambda seen: f"{seen.clipped_share:.1%} at the limit",
    ),
    _Case(
        "mostly_quiet",
        lambda seen: seen.quiet_share > QUIET_SHARE,
        f"that are quiet for more than {QUIET_SHARE:.0%} of their length (40 dB below their "
        "loudest part). Trim them: what the label speaks of is a small part.",
        lambda seen: f"{seen.quiet_share:.0%} quiet",
    ),
)


def find_poor(seen: Sequence[Inspection]) -> tuple[Finding, ...]:
    """Short, soft, clipped and mostly quiet recordings, by thresholds that each sentence states."""
    told: set[int] = set()
    findings = []
    for case in _CASES:
        places = [i for i, each in enumerate(seen) if i not in told and case.is_so(each)]
        told.update(places)
        if places:
            files = tuple(Flagged(seen[place].name, case.note(seen[place])) for place in places)
            text = f"{count(len(files), 'recording')} {case.text}"
            findings.append(Finding(case.kind, "warning", text, files))
    return tuple(findings)
