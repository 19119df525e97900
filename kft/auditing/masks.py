"""Check of masks: those without a class, and classes that cover little."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kft.auditing.seen_examples import SeenExamples
from kft.figures import format_share
from kft.findings import Finding, Flagged

# A class that covers less of all that is labelled hardly shows in a loss.
_RARE_SHARE = 0.01


def find_mask_problems(seen: SeenExamples) -> tuple[Finding, ...]:
    """Find masks in which no class is labelled, and classes that cover little.

    Args:
        seen: Examples to check; those of other tasks have no masks.
    """
    if not len(seen) or seen.checked[0].target is None:
        return ()
    return (*_find_empty(seen), *_find_shares(seen))


def _find_empty(seen: SeenExamples) -> Iterator[Finding]:
    areas = seen.targets.sum(axis=1)
    empty = [seen.names[place] for place in np.flatnonzero(areas == 0).tolist()]
    if empty:
        yield Finding(
            "empty_masks",
            "warning",
            f"The mask of {seen.count(len(empty))} labels nothing, so nothing is learned from "
            "them. Label them, or remove them.",
            tuple(Flagged(name) for name in empty),
        )


def _find_shares(seen: SeenExamples) -> Iterator[Finding]:
    areas = seen.targets.sum(axis=0)
    if not areas.sum():
        return
    shares = areas / areas.sum()
    order = np.argsort(-shares, kind="stable").tolist()
    listing = ", ".join(f"{seen.class_names[i]} {format_share(float(shares[i]))}" for i in order)
    rare = [seen.class_names[i] for i in order if shares[i] < _RARE_SHARE]
    advice = (
        f" {', '.join(rare)} cover less than {_RARE_SHARE:.0%}: read the figures of each class; "
        "training.class_weights=balanced or training.region_loss=lovasz gives them more weight."
        if rare
        else ""
    )
    yield Finding(
        "class_shares",
        "warning" if rare else "note",
        f"Shares of what is labelled: {listing}.{advice}",
    )
