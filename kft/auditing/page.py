"""HTML page of an audit, with small pictures of the examples embedded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kft import pages
from kft.auditing.audit import Audit
from kft.auditing.seen_examples import SeenExamples
from kft.config import DataConfig
from kft.findings import Flagged
from kft.tasks import BOXES

# Numbers of examples to show and of names to list per finding; the JSON output has all.
_SHOWN_EXAMPLES = 24
_SHOWN_NAMES = 200
# Numbers of examples to show per class and in all, which keep the page at a few megabytes.
_OF_EACH_CLASS = 12
_OF_ALL_CLASSES = 480


@dataclass(frozen=True)
class Figure:
    """One example of a grid.

    Attributes:
        name: Name of the file.
        note: Text below it.
        source: Picture of it as a data URI; None if there is none.
    """

    name: str
    note: str
    source: str | None


@dataclass(frozen=True)
class Grid:
    """Some examples under one heading.

    Attributes:
        title: Name of a class.
        total: Number of its examples.
        figures: Examples to show.
    """

    title: str
    total: int
    figures: tuple[Figure, ...]


def render_page(audit: Audit, config: DataConfig, progress: Callable[[int, int], None]) -> bytes:
    """Render the page as UTF-8 text.

    Args:
        audit: Audit to show.
        config: The `data` section.
        progress: Called with (previews made, previews in all).
    """
    artist = _Artist(audit, config, progress)
    return pages.render_page(
        "auditing",
        "page.html.jinja",
        audit=audit,
        modality=audit.examples.modality,
        findings=[(finding, artist.draw(finding.files)) for finding in audit.findings],
        grids=artist.draw_classes(),
        shown_names=_SHOWN_NAMES,
    )


class _Artist:
    """Artist that draws the grids of a page and reports progress."""

    def __init__(
        self, audit: Audit, config: DataConfig, progress: Callable[[int, int], None]
    ) -> None:
        self._seen = audit.examples
        self._settings = audit.examples.modality.settings_of(config)
        self._progress = progress
        self._paths = {each.name: each.path for each in audit.examples.checked}
        self._targets = _find_drawn_targets(audit.examples)
        self._classes = choose_of_classes(audit.examples)
        self._total = sum(len(places) for _, _, places in self._classes) + sum(
            sum(file.name in self._paths for file in finding.files[:_SHOWN_EXAMPLES])
            for finding in audit.findings
        )
        self._done = 0

    def draw(self, files: Sequence[Flagged]) -> list[Figure]:
        """Draw the first files that have an example."""
        shown = [file for file in files[:_SHOWN_EXAMPLES] if file.name in self._paths]
        return [Figure(file.name, file.note, self._preview(file.name)) for file in shown]

    def draw_classes(self) -> list[Grid]:
        return [
            Grid(
                title,
                total,
                tuple(
                    Figure(name, "", self._preview(name))
                    for name in (self._seen.names[place] for place in places)
                ),
            )
            for title, total, places in self._classes
        ]

    def _preview(self, name: str) -> str | None:
        self._done += 1
        self._progress(self._done, self._total)
        modality, known = self._seen.modality, (self._settings, self._seen.calibrated)
        target = self._targets[name]
        if target is None:
            return modality.preview(self._paths[name], *known)
        return modality.preview_target(self._paths[name], target, *known)


def _find_drawn_targets(seen: SeenExamples) -> dict[str, str | np.ndarray | None]:
    """Find the mask file or the boxes of each example; None for targets that are not drawn."""
    if seen.task.companion == BOXES:
        return dict(zip(seen.names, seen.targets, strict=True))
    return {each.name: None if each.target is None else each.target.path for each in seen.checked}


def choose_of_classes(seen: SeenExamples) -> list[tuple[str, int, list[int]]]:
    """Choose evenly spread examples of each class or label: name, total, and chosen indices.

    If targets are numbers, there is one group, in ascending order.
    """
    groups = seen.task.arrange(seen.targets, seen.class_names)
    each = max(1, min(_OF_EACH_CLASS, _OF_ALL_CLASSES // len(groups)))
    return [
        (title, len(places), _spread(places, each)) for title, places in groups[:_OF_ALL_CLASSES]
    ]


def _spread(places: np.ndarray, number: int) -> list[int]:
    chosen = np.linspace(0, len(places) - 1, min(number, len(places))).astype(int)
    found: list[int] = places[chosen].tolist()
    return found
