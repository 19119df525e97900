"""Task from outside kft: ordered classes, such as grades."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from kft.tasks.classification.figures import ClassFigures
from kft.tasks.classification.task import Classification


class OrdinalFigures(ClassFigures):
    """Figures of classes, and the mean distance between answer and truth."""

    def compute(self, targets, outputs, names, train_targets, groups=None) -> dict[str, Any]:
        """See `Figures`."""
        places = np.abs(outputs.argmax(axis=1) - targets)
        figures = super().compute(targets, outputs, names, train_targets, groups)
        return {**figures, "places_off": float(places.mean())}


class Ordinal(Classification):
    """Task in which each example has one of several ordered classes."""

    name: ClassVar[str] = "ordinal"
    noun: ClassVar[str] = "grade"
    nouns: ClassVar[str] = "grades"
    settings: ClassVar[frozenset[str]] = frozenset()

    @property
    def head(self):
        """Make a head with one logit for each step from a class to the next."""
        from foreign.ordinal_head import OrdinalHead

        return OrdinalHead

    @property
    def figures(self) -> OrdinalFigures:
        """Make figures with the distance."""
        return OrdinalFigures()

    @property
    def linear(self) -> None:
        """Return None, because there is no linear solution."""
        return None
