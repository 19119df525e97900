"""Annotated examples, collected one at a time into arrays of boxes."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from kft.data.paths import PathFinder
from kft.data.sources.box_cleaning import CUT, REPEATED, ZERO_AREA, BoxError, clean_boxes
from kft.examples import Quarantined
from kft.findings import Finding, Flagged, Severity
from kft.modalities import Modality
from kft.modalities.annotated import Annotated
from kft.printing import listed, readable
from kft.tasks.vectors import Boxes

_ADVICE = "the data folder. Move the files there, or add their folder to data.boxes.allowed_roots"
# Kind of remark -> severity and name of the finding, and what is done about such boxes.
_REMARKS: Mapping[str, tuple[Severity, str, str]] = {
    ZERO_AREA: ("problem", "zero_area_boxes", "with a box of zero area, which is left out"),
    CUT: ("warning", "outside_boxes", "with a box beyond the edge, which is cut there"),
    REPEATED: ("warning", "repeated_boxes", "with a repeated box, which is used once"),
}


class BoxCollection:
    """Usable examples with their boxes, in the order in which they were added.

    Args:
        root: Folder that ids start from.
        allowed_roots: Other folders that may be read.
        modality: Modality of the examples.

    Attributes:
        paths: Path of each example, by its id.
        splits: Word for the split of each example.
        quarantined: Examples that cannot be used.
    """

    def __init__(self, root: Path, allowed_roots: Sequence[str], modality: Modality) -> None:
        self.paths: dict[str, str] = {}
        self.splits: list[str | None] = []
        self.quarantined: list[Quarantined] = []
        self._modality = modality
        self._finder = PathFinder(root, allowed_roots, advice=_ADVICE)
        self._places: dict[str, str] = {}
        self._repeated: set[str] = set()
        self._codes: dict[str, int] = {}
        self._owners, self._of_boxes, self._sides = array("q"), array("q"), array("d")
        self._remarks: dict[str, dict[str, list[str]]] = {kind: {} for kind in _REMARKS}

    @property
    def num_examples(self) -> int:
        """Number of examples, including those that cannot be used."""
        return len(self.paths) + len(self.quarantined)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Classes that have a box."""
        return tuple(self._codes)

    def add(self, annotated: Annotated) -> None:
        """Add an example, or put it into quarantine."""
        name, path = self._finder.locate(annotated.file)
        problem = annotated.problem or self._finder.find_problem(path)
        if problem is None and name in self.paths:
            # Either annotation may be wrong, so neither is used.
            self._repeated.add(name)
            problem = f"annotated in {self._places[name]} too"
        try:
            if problem is not None:
                raise BoxError(problem)
            clean = clean_boxes(annotated, self._modality.find_size(path))
        except BoxError as error:
            self._leave_out(annotated.place, name, path, str(error))
            return
        owner = len(self.paths)
        self.paths[name], self._places[name] = path, annotated.place
        self.splits.append(annotated.split)
        for word, sides in zip(clean.names, clean.sides.tolist(), strict=True):
            self._owners.append(owner)
            self._of_boxes.append(self._codes.setdefault(word, len(self._codes)))
            self._sides.extend(sides)
        for kind, word in clean.remarks:
            self._remarks[kind].setdefault(name, []).append(word)

    def find_usable(self) -> list[int]:
        """Find the positions of examples that are annotated once, and put the others away."""
        for name in sorted(self._repeated):
            self._leave_out(self._places[name], name, self.paths[name], "annotated again elsewhere")
        return [place for place, name in enumerate(self.paths) if name not in self._repeated]

    def make_boxes(self, names: Sequence[str]) -> Boxes:
        """Make the boxes of all examples.

        Args:
            names: Classes in order, which include all that have a box.
        """
        place_of = {name: place for place, name in enumerate(names)}
        places = np.array([place_of[name] for name in self._codes], np.int64)
        return Boxes(
            tuple(names),
            np.array(self._owners, np.int64),
            places[np.array(self._of_boxes, np.int64)],
            np.array(self._sides).reshape(-1, 4).astype(np.float32),
            len(self.paths),
        )

    def count_remarks(self) -> dict[str, int]:
        """Count the examples with each remark, and those without boxes."""
        counted = {_REMARKS[kind][2]: len(files) for kind, files in self._remarks.items() if files}
        num_empty = len(self._find_empty())
        return {**counted, "without boxes, used as negatives": num_empty} if num_empty else counted

    def find_remarkable(self) -> Iterator[Finding]:
        """Find the files with each remark, and those without boxes."""
        nouns = self._modality.nouns
        for kind, files in self._remarks.items():
            severity, name, words = _REMARKS[kind]
            if files:
                flagged = tuple(Flagged(file, listed(boxes)) for file, boxes in files.items())
                sentence = f"{len(files):,} {nouns} {words}. Correct the annotations."
                yield Finding(name, severity, sentence, flagged)
        empty = self._find_empty()
        if empty:
            yield Finding(
                "without_boxes",
                "note",
                f"{len(empty):,} {nouns} have no boxes, and are used as negatives: a model learns "
                "that they show no object. Check that none was forgotten.",
                tuple(map(Flagged, empty)),
            )

    def _find_empty(self) -> list[str]:
        counts = Counter(self._owners)
        return [name for place, name in enumerate(self.paths) if not counts[place]]

    def _leave_out(self, place: str, name: str, path: str, reason: str) -> None:
        self.quarantined.append(Quarantined(readable(f"{place}: {name}"), readable(path), reason))
