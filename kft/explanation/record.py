"""Explanations as values and as files: overlays, and `explanations.json` beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kft.modalities.explained import OVERLAY_ENDING
from kft.runs.atomic import write_bytes, write_json
from kft.runs.layout import read_json

FILE = "explanations.json"
# Rank correlation from which on an explanation hardly depends on the weights: those of independent
# values of 64 parts stay below 0.25 in 95 of 100 cases.
MOST_SIMILAR = 0.5


@dataclass(frozen=True)
class DeletionCurve:
    """What is left of an answer's score while parts of the example are hidden.

    Attributes:
        shares: Share of the parts that is hidden, from 0 to 1.
        left: Share of the score that is left if the most important parts are hidden first.
        random: The same for parts in random order, the mean of some orders.

    Source: Petsiuk et al., RISE, arXiv:1806.07421.
    """

    shares: tuple[float, ...]
    left: tuple[float, ...]
    random: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under `left`; the smaller, the better the explanation."""
        return float(np.trapezoid(self.left, self.shares))

    @property
    def random_area(self) -> float:
        """Area under `random`."""
        return float(np.trapezoid(self.random, self.shares))

    @property
    def is_informative(self) -> bool:
        """Whether hiding the most important parts changes the answer faster than random ones."""
        return self.area < self.random_area


@dataclass(frozen=True, eq=False)
class Attribution:
    """What one method says about one answer.

    Attributes:
        method: Name of the method.
        values: Value of each position (axes …): above 0 speaks for the answer.
        place: Where or what matters most, in words.
        similarity: Rank correlation with the same method's values after the weights were shuffled;
            None if either says nothing.
        deletion: Deletion curve; None if hiding everything does not change the answer.
        overlay: PNG file; None if the modality cannot draw it.
    """

    method: str
    values: np.ndarray
    place: str
    similarity: float | None
    deletion: DeletionCurve | None
    overlay: bytes | None = None

    @property
    def depends_on_weights(self) -> bool | None:
        """Whether the values depend on what the model has learned; None if unknown."""
        return None if self.similarity is None else abs(self.similarity) < MOST_SIMILAR

    def describe(self, overlay: str | None) -> dict[str, Any]:
        """Describe it as JSON values; `overlay` is the name of the PNG file."""
        curve = self.deletion
        return {
            "method": self.method,
            "place": self.place,
            "overlay": overlay,
            "similarity_to_random_weights": self.similarity,
            "depends_on_weights": self.depends_on_weights,
            "deletion": curve
            and {**asdict(curve), "area": curve.area, "random_area": curve.random_area},
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """Explanation of one part of the answer about one example.

    Attributes:
        file: Name of the example.
        answer: What is explained: a class, label or number.
        value: The model's value for it.
        attributions: One for each method.
        unavailable: Method -> why it cannot explain this model.
    """

    file: str
    answer: str
    value: float
    attributions: tuple[Attribution, ...]
    unavailable: Mapping[str, str] = field(default_factory=dict)


def write_explanations(folder: Path, explanations: Sequence[Explanation]) -> Path:
    """Write the overlays as PNG files and explanations.json; return the path of the latter.

    Args:
        folder: Folder, which is made if it does not exist.
        explanations: What to write.
    """
    for old in read_explanations(folder):
        for row in old["methods"]:
            (folder / (row["overlay"] or FILE)).unlink(missing_ok=True)
    described = []
    for number, each in enumerate(explanations):
        stem = f"{number:03d}-{Path(each.file).stem}"
        rows = []
        for attribution in each.attributions:
            name = None
            if attribution.overlay is not None:
                name = f"{stem}-{attribution.method.replace(' ', '-').lower()}{OVERLAY_ENDING}"
                write_bytes(folder / name, attribution.overlay)
            rows.append(attribution.describe(name))
        described.append(
            {
                "file": each.file,
                "answer": each.answer,
                "value": each.value,
                "methods": rows,
                "unavailable": dict(each.unavailable),
            }
        )
    write_json(folder / FILE, described)
    return folder / FILE


def read_explanations(folder: Path) -> list[dict[str, Any]]:
    """Read what `write_explanations` wrote; empty if it was not called.

    Raises:
        RunError: The file is damaged.
    """
    path = folder / FILE
    return read_json(path) if path.is_file() else []
