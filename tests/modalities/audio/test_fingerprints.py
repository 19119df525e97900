"""Which recordings sound the same."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import make_speech
from scipy.signal import resample_poly

from kft.modalities import load_modality
from kft.modalities.audio.measures import fingerprint

MOST = load_modality("audio").most_different_bits
# With the noise that every room has.
SPEECH = make_speech(seconds=1.0) + 3e-3 * np.random.default_rng(1).normal(size=16_000)


def differ(first: np.ndarray, second: np.ndarray, rate: int = 16_000) -> int:
    one, other = fingerprint(first, 16_000), fingerprint(second, rate)
    assert one is not None and other is not None
    return (one ^ other).bit_count()


@pytest.mark.parametrize(
    ("changed", "rate"),
    [
        (SPEECH * 0.2, 16_000),
        (-SPEECH, 16_000),
        (resample_poly(SPEECH, 3, 1), 48_000),
        (resample_poly(SPEECH, 441, 160), 44_100),
        (SPEECH + 1e-3 * np.random.default_rng(0).normal(size=len(SPEECH)), 16_000),
    ],
    ids=["softer", "inverted", "48 kHz", "44.1 kHz", "noisy"],
)
def test_a_changed_copy_is_the_same(changed, rate):
    assert differ(SPEECH, changed, rate) <= MOST


def test_other_recordings_are_not():
    prints = [fingerprint(make_speech(seed), 16_000) for seed in range(40)]
    distances = [(a ^ b).bit_count() for i, a in enumerate(prints) for b in prints[:i]]
    assert min(distances) > MOST


def test_what_is_too_short_or_silent_has_none():
    assert fingerprint(SPEECH[:1500], 16_000) is None
    assert fingerprint(np.zeros(16_000), 16_000) is None
