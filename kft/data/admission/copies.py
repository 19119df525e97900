"""Copies of one file that contradict each other, or leak from one given split into another."""

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
    """Position -> why it must be left out: copies that contradict or leak.

    The same content under two labels says nothing, and all of it goes. In two splits that are
    given, what is judged would have been learned: it stays in the holdout, or else in
    validation.

    Args:
        names: Of all examples.
        digests: Of their content.
        labels: As people read them.
        splits: The split that the source names for each; None where it names none.
        noun: What an example is called.
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
