"""Task of regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from kft.errors import DataError
from kft.figures import format_figure
from kft.tasks.base import Task
from kft.tasks.vectors import Boxes, Names, Targets, Vectors, move_columns

if TYPE_CHECKING:
    from kft.tasks.regression.figures import NumberFigures
    from kft.tasks.regression.head import RegressionHead
    from kft.tasks.regression.linear import NumberLoss

# Squares of larger numbers, which standard deviations need, would overflow float64.
LARGEST_NUMBER = 1e150


class Regression(Task):
    """Regression: the target of an example is a row of float64 numbers."""

    name: ClassVar[str] = "regression"
    noun: ClassVar[str] = "number"
    nouns: ClassVar[str] = "numbers"
    is_stratified: ClassVar[bool] = False
    reads_amounts: ClassVar[bool] = True
    objective: ClassVar[tuple[str, Literal["min", "max"]]] = ("standardised_absolute_error", "min")
    answer_word: ClassVar[str] = "predicted"

    @property
    def head(self) -> type[RegressionHead]:
        """Head with squared error of standardised numbers."""
        from kft.tasks.regression.head import RegressionHead

        return RegressionHead

    @property
    def figures(self) -> NumberFigures:
        """Errors of each number in its unit, and of all in training deviations."""
        from kft.tasks.regression.figures import NumberFigures

        return NumberFigures()

    @property
    def linear(self) -> NumberLoss:
        """Half the squared error."""
        from kft.tasks.regression.linear import NumberLoss

        return NumberLoss()

    def parse(self, fields: Names | Vectors | Boxes) -> Targets:
        """Parse float64 rows."""
        assert isinstance(fields, Vectors), "numbers are values, not names"
        _refuse_out_of_range(fields)
        # A copy, because a view would keep the other columns in memory.
        return Targets(self, fields.names, fields.values.astype(np.float64))

    def format(self, target: np.ndarray, names: Sequence[str]) -> str:
        """Join the numbers by ';', each as short as possible for the same float64."""
        return ";".join(_format_number(float(value)) for value in target)

    def are_equal(self, written: str, value: str) -> bool:
        """Compare numbers by value, in any notation."""
        if written == value:
            return True
        try:
            there, now = (np.asarray(text.split(";"), np.float64) for text in (written, value))
        except ValueError:
            return False
        return np.array_equal(there, now) or written == _format_as_before(now)

    def arrange(self, targets: np.ndarray, names: Sequence[str]) -> list[tuple[str, np.ndarray]]:
        """Arrange examples in a single group, sorted by the first number."""
        return [("by " + names[0], np.argsort(targets[:, 0], kind="stable"))]

    def rearrange(self, targets: np.ndarray, places: np.ndarray, num_names: int) -> np.ndarray:
        """Move the columns to their new places."""
        return move_columns(targets, places, num_names)

    def format_value(self, value: float | None, *, spread: float | None = None) -> str:
        """Format a number with the digits that distinguish such numbers."""
        return format_figure(value, spread=spread)


def _refuse_out_of_range(vectors: Vectors) -> None:
    too_large = np.argwhere(np.abs(vectors.values) > LARGEST_NUMBER)
    if len(too_large):
        row, column = too_large[0].tolist()
        raise DataError(
            f"{vectors.source}: {vectors.place_of(row)} holds {vectors.values[row, column]:g} in "
            f"{vectors.names[column]!r}; allowed are numbers up to {LARGEST_NUMBER:g}. Scale the "
            "column."
        )


def _format_number(value: float) -> str:
    short = format(value, ".9g")
    return short if float(short) == value else repr(value)


def _format_as_before(numbers: np.ndarray) -> str:
    """Format numbers as older kft wrote splits.csv, which read them as float32."""
    return ";".join(format(number, ".9g") for number in numbers.astype(np.float32).tolist())
