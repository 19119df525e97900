"""Part of a modality that describes examples for the audit and draws them for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kft.examples import Calibration
from kft.findings import Finding
from kft.modalities.audit_records import Fact, Measure, Property
from kft.modalities.corruptions import Corruption
from kft.modalities.explained import ExplainedExample, describe_place

# Longer side of a preview, at which a page with a thousand of them takes a few megabytes.
PREVIEW_SIDE = 104


@dataclass(frozen=True)
class ViewRow:
    """An example and its augmented views, for drawing.

    Attributes:
        title: Label of the example.
        text: Name of the example.
        views: The decoded example, then its views: float32 arrays by name of the element.
    """

    title: str
    text: str
    views: tuple[Mapping[str, np.ndarray], ...]


class Showing:
    """What the audit looks for in examples, and how they are drawn; all of it is optional."""

    def show_calibrated(self, checked: Any, calibration: Calibration) -> Any:
        """Convert the measures of a file to those under the calibration of its data set."""
        return checked

    def find_poor(self, checked: Sequence[Any]) -> tuple[Finding, ...]:
        """Find examples that hold little, such as blank, tiny or silent ones."""
        return ()

    def list_properties(self, checked: Sequence[Any]) -> tuple[Property, ...]:
        """List properties that should not predict the class, such as the format of the file."""
        return ()

    def list_measures(self, checked: Sequence[Any]) -> tuple[Measure, ...]:
        """List measures by which an example may be an outlier."""
        return ()

    def name_kinds(self, checked: Sequence[Any]) -> tuple[str, ...]:
        """Name how each example is stored; the audit reports rare kinds."""
        return ()

    def summarise(self, checked: Sequence[Any]) -> tuple[Fact, ...]:
        """Summarise a set of examples."""
        return ()

    def summarise_group(self, checked: Sequence[Any]) -> tuple[Fact, ...]:
        """Summarise the examples of one class, for a row of the table of classes."""
        return ()

    # Display

    def preview(
        self, path: str, settings: Any, calibrated: Any = None, *, side: int = PREVIEW_SIDE
    ) -> str | None:
        """Draw a small picture of an example as a data URI; None if it cannot be shown.

        Args:
            path: Path of a file that passed the check.
            settings: Settings of the modality.
            calibrated: Value of the data set's `Calibration`; None without one.
            side: Longer side of the picture on the page.
        """
        return None

    def preview_target(
        self,
        path: str,
        target: str | np.ndarray,
        settings: Any,
        calibrated: Any = None,
        *,
        side: int = PREVIEW_SIDE,
    ) -> str | None:
        """Draw a preview of an example with its dense target over it; see `preview`.

        Args:
            path: Path of a file that passed the check.
            target: Path of the checked file with its target; or boxes (boxes, 5) as in
                `kft.tasks.BOXES`, perhaps with a mark, from `Figures.mark_boxes`.
            settings: Settings of the modality.
            calibrated: Value of the data set's `Calibration`; None without one.
            side: Longer side of the picture on the page.
        """
        return self.preview(path, settings, calibrated, side=side)

    def draw_answer(
        self, path: str, companion: np.ndarray, names: Sequence[str], settings: Any
    ) -> bytes | None:
        """Draw a PNG file of an example and a dense answer; None if that is impossible.

        Args:
            path: Path of a file that passed the check.
            companion: Answer, see `kft.serving.Answer`.
            names: Name of each class.
            settings: Settings of the modality.
        """
        return None

    def draw_views(self, rows: Sequence[ViewRow], caption: str) -> bytes | None:
        """Draw a PNG file of examples and their augmented views; None if that is impossible."""
        return None

    def list_corruptions(self) -> tuple[Corruption, ...]:
        """List the corruptions that examples may suffer, for evaluation; none by default."""
        return ()

    def draw_explanation(
        self, spec: Any, example: ExplainedExample, values: np.ndarray
    ) -> bytes | None:
        """Draw a PNG file of an example with what its answer depends on; None if impossible.

        Args:
            spec: Input of the backbone.
            example: The example.
            values: Value of each position (axes …): above 0 speaks for the answer.
        """
        return None

    def describe_explanation(self, spec: Any, example: ExplainedExample, values: np.ndarray) -> str:
        """Say in a few words what an answer depends on most; see `draw_explanation`."""
        return describe_place(spec.explained.names, values, example.parts)
