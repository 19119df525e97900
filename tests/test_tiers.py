"""The tests that `tox` leaves to `tox -e full`: none vanishes unseen."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

PINNED = Path(__file__).with_name("full_tier.txt")


def read_pinned() -> Counter[str]:
    """Place of each test function -> how many tests of it are in the full tier alone."""
    lines = PINNED.read_text(encoding="utf-8").splitlines()
    pairs = [line.split() for line in lines if line and not line.startswith("#")]
    return Counter({place: int(count) for place, count in pairs})


def test_the_full_tier_holds_the_tests_that_are_pinned(full_tier):
    files, collected = full_tier
    # All of them, unless somebody runs a few files.
    pinned = {
        place: count for place, count in read_pinned().items() if place.partition("::")[0] in files
    }
    written = "\n".join(f"{place} {count}" for place, count in sorted(collected.items()))
    assert dict(collected) == pinned, f"Look at what moved, then write to {PINNED.name}:\n{written}"


def test_every_file_of_the_full_tier_exists():
    missing = {
        place for place in read_pinned() if not (PINNED.parent / place.partition("::")[0]).is_file()
    }
    assert not missing
