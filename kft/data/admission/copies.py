"""Copies of a file that contradict each other, or leak from one given split into another."""

from __future__ import annotations

from collections.abc import Sequence

from kft.examples import SplitName
from kft.modalities.near_duplicates import find_same


def find_bad_copies(
    names: Sequence[str],
    digests: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[SplitName] | None,
    *,
    noun: str,
) -> dict[int, str]:
    """Find copies that contradict each other or leak: index -> reason for leaving it out.

    If the same content has two labels, all its copies are left out. If it is in two given
    splits, the model would be judged on an example it was trained on: only the copies in the
    holdout stay, or else those in validation.

    Args:
        names: Names of all examples.
        digests: Digests of their content.
        labels: Labels in words.
        splits: Split that the source gives for each; None if it gives none.
        noun: Noun for an example, such as "image".
    """
    bad: dict[int, str] = {}
    for places in find_same(digests):
        if len({labels[place] for place in places}) > 1:
            for place in places:
                other = next(i for i in places if labels[i] != labels[place])
                bad[place] = (
                    f"the same {noun} as {names[other]}, which is labelled {labels[other]!r}, "
                    f"not {labels[place]!r}; decide which is right, and remove the other file"
                )
        elif splits is not None:
            bad |= _find_leaks(names, splits, places, noun)
    return bad


def _find_leaks(
    names: Sequence[str], splits: Sequence[SplitName], places: Sequence[int], noun: str
) -> dict[int, str]:
    order: tuple[SplitName, ...] = ("holdout", "validation", "train")
    kept = next(split for split in order if any(splits[place] == split for place in places))
    first = next(place for place in places if splits[place] == kept)
    return {
        place: f"the same {noun} as {names[first]}, which is in the {kept} split"
        for place in places
        if splits[place] != kept
    }
