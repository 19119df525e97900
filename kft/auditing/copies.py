"""Check for exact copies and near duplicates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kft.auditing.seen_examples import SeenExamples
from kft.findings import Finding, Flagged, Severity, count
from kft.modalities.near_duplicates import find_same

Places = Sequence[int]


@dataclass(frozen=True)
class _Case:
    """Kind of finding, with its text."""

    kind: str
    severity: Severity
    text: str


# Cases by whether the labels differ, or the splits that the source gives.
_EXACT = {
    "labelled": _Case(
        "duplicate_labels",
        "problem",
        "hold the same {noun} under different labels. One of the labels is wrong: decide which, "
        "and remove the other files. Training leaves all of them out.",
    ),
    "splits": _Case(
        "duplicate_splits",
        "problem",
        "hold the same {noun} in more than one split, so the model would be judged on examples it "
        "was trained on. Remove the copies from all splits except one. Training keeps only those "
        "in the holdout, or else in validation.",
    ),
    "plain": _Case(
        "duplicates",
        "note",
        "hold the same {noun} under the same label. Each copy counts in training; if kft makes "
        "the split, copies stay on one side.",
    ),
}
_NEAR = {
    "labelled": _Case(
        "near_duplicate_labels",
        "warning",
        "look the same and have different labels. Check whether one of the labels is wrong.",
    ),
    "splits": _Case(
        "near_duplicate_splits",
        "warning",
        "look the same and are in more than one split. Copies of the same moment make the "
        "metrics too good: look at them, and keep each scene in one split.",
    ),
    "plain": _Case(
        "near_duplicates",
        "note",
        "look the same and have the same label. If kft makes the split, they stay on one side.",
    ),
}


def find_copies(seen: SeenExamples, alike: Sequence[Places]) -> tuple[Finding, ...]:
    """Find exact and near duplicates: with different labels, across splits, and others.

    Each set is reported once, by the most serious case that applies.

    Args:
        seen: Examples to check.
        alike: Sets of indices of examples that look the same.
    """
    exact = find_same_content(seen)
    first = {place: places[0] for places in exact for place in places}
    # One of several exact copies represents all, since copies are reported already.
    near = [sorted({first.get(place, place) for place in places}) for places in alike]
    return (
        *_find(seen, exact, _EXACT),
        *_find(seen, [places for places in near if len(places) > 1], _NEAR),
    )


def find_same_content(seen: SeenExamples) -> tuple[tuple[int, ...], ...]:
    """Find sets of at least two indices of files with the same content."""
    return find_same([each.digest for each in seen.checked])


def _find(
    seen: SeenExamples, sets: Iterable[Places], cases: dict[str, _Case]
) -> tuple[Finding, ...]:
    sorted_sets: dict[str, list[Places]] = {name: [] for name in cases}
    for places in sets:
        sorted_sets[_sort(seen, places)].append(places)
    return tuple(
        _make_finding(seen, sorted_sets[name], case)
        for name, case in cases.items()
        if sorted_sets[name]
    )


def _sort(seen: SeenExamples, places: Places) -> str:
    if len({seen.label(place) for place in places}) > 1:
        return "labelled"
    given = seen.splits
    return "splits" if given and len({given[place] for place in places}) > 1 else "plain"


def _make_finding(seen: SeenExamples, sets: Sequence[Places], case: _Case) -> Finding:
    total = sum(len(places) for places in sets)
    where = "" if len(sets) == 1 else f" in {len(sets):,} sets"
    files = [
        Flagged(seen.names[place], _note(seen, place, places[0], case.kind))
        for places in sets
        for place in places
    ]
    return Finding(
        case.kind,
        case.severity,
        f"{count(total, 'file')}{where} {case.text.format(noun=seen.modality.noun)}",
        tuple(files),
    )


def _note(seen: SeenExamples, place: int, first: int, kind: str) -> str:
    words = []
    if kind.endswith("_labels"):
        words.append(f"labelled {seen.label(place)}")
    if kind.endswith("_splits") and seen.splits is not None:
        words.append(f"in {seen.splits[place]}")
    if place != first:
        relation = "looks like" if kind.startswith("near") else "same as"
        words.append(f"{relation} {seen.names[first]}")
    return ", ".join(words)
