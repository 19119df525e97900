"""Explanations of a run's answers, as its report shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kft.explanation.record import read_explanations
from kft.modalities.explained import make_overlay_uri
from kft.runs import RunDirectory


@dataclass(frozen=True)
class ExplanationView:
    """One method's explanation of an answer.

    Attributes:
        method: Name of the method.
        source: Overlay as a data URI; None if there is none.
        place: What matters most, in words.
        depends_on_weights: Whether it changes with the weights; None if unknown.
        areas: Areas under the deletion curve and under that of random orders; None if hiding
            everything does not change the answer.
    """

    method: str
    source: str | None
    place: str
    depends_on_weights: bool | None
    areas: tuple[float, float] | None

    @property
    def checks(self) -> tuple[tuple[str, bool | None], ...]:
        """Result of each check, in words, and whether it was passed; None if it says nothing."""
        found: list[tuple[str, bool | None]] = []
        if self.depends_on_weights is not None:
            words = "changes" if self.depends_on_weights else "does not change"
            found.append((f"{words} when the weights are shuffled", self.depends_on_weights))
        if self.areas is None:
            found.append(("hiding everything does not change the answer", None))
        else:
            is_better = self.areas[0] < self.areas[1]
            words = "faster" if is_better else "no faster"
            found.append((f"hiding it changes the answer {words} than random parts", is_better))
        return tuple(found)


@dataclass(frozen=True)
class ExplainedAnswer:
    """An answer with its explanations."""

    file: str
    answer: str
    value: float
    views: tuple[ExplanationView, ...]


def list_explanations(run: RunDirectory) -> tuple[ExplainedAnswer, ...]:
    """List the explanations in a run's own folder; empty if `kft explain` was not called.

    Raises:
        RunError: The file is damaged.
    """
    return tuple(
        ExplainedAnswer(
            each["file"],
            each["answer"],
            each["value"],
            tuple(_read_views(run.explanations, each["methods"])),
        )
        for each in read_explanations(run.explanations)
    )


def _read_views(folder: Path, methods: list[dict[str, Any]]) -> Iterator[ExplanationView]:
    for each in methods:
        curve = each["deletion"]
        yield ExplanationView(
            each["method"],
            _encode(folder, each["overlay"]),
            each["place"],
            each["depends_on_weights"],
            curve and (curve["area"], curve["random_area"]),
        )


def _encode(folder: Path, name: str | None) -> str | None:
    """Encode an overlay as a data URI; None without one, or if somebody removed it."""
    if name is None or not (folder / name).is_file():
        return None
    return make_overlay_uri((folder / name).read_bytes())
