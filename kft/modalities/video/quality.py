"""Search for videos that show little: short, black, frozen."""

from __future__ import annotations

from collections.abc import Sequence

from kft.findings import Finding
from kft.modalities.poor_examples import PoorCase, find_poor_examples
from kft.modalities.video.inspection import Inspection

# A third of a second of most videos.
FEW_FRAMES = 8
BLACK_SHARE = 0.5
# Of a film at 12 frames per second that is stored at 24, half of the frames repeat.
FROZEN_SHARE = 0.8


# Each video is reported once, by the first case that applies.
_CASES = (
    PoorCase(
        "black",
        lambda seen: seen.black_share > BLACK_SHARE,
        f"of which more than {BLACK_SHARE:.0%} of the frames are black. Cut the black part off, "
        "or remove them.",
        lambda seen: f"{seen.black_share:.0%} black",
    ),
    PoorCase(
        "frozen",
        lambda seen: seen.frozen_share > FROZEN_SHARE,
        f"that stand still: more than {FROZEN_SHARE:.0%} of the frames equal the one before. If "
        "nothing moves in most of them, a backbone of pictures does as well.",
        lambda seen: f"{seen.frozen_share:.0%} frozen",
    ),
    PoorCase(
        "short",
        lambda seen: seen.num_frames < FEW_FRAMES,
        f"of fewer than {FEW_FRAMES} frames. A clip repeats some of them; look whether one class "
        "has more of such.",
        lambda seen: f"{seen.num_frames} frames",
    ),
)


def find_poor(seen: Sequence[Inspection]) -> tuple[Finding, ...]:
    """Find black, frozen and short videos, by thresholds that the text states."""
    return find_poor_examples(seen, _CASES, noun="video")
