"""Properties, measures and facts of examples that a modality gives to the audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Property:
    """Property of examples that should not reveal their class.

    Attributes:
        name: Name for messages.
        columns: Numeric values, float64 (examples, columns).
        values: Value of each example as text.
        summarise: Returns the typical value at given indices.
        is_technical: Whether it comes from the making of a file instead of its content.
    """

    name: str
    columns: np.ndarray
    values: tuple[str, ...]
    summarise: Callable[[np.ndarray], str]
    is_technical: bool


@dataclass(frozen=True)
class Measure:
    """Number of each example, in which outliers are searched.

    Attributes:
        name: Name for messages, such as `size`.
        values: float64 (examples,), on a scale on which distances are comparable.
        least_deviation: Smallest deviation that can be an outlier.
        texts: Number of each example in words.
    """

    name: str
    values: np.ndarray
    least_deviation: float
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """Statistic of a set of examples, for the overview.

    Attributes:
        key: Name in JSON.
        title: Name for people.
        value: JSON value.
        text: Value in words.
        colour: Colour that shows the value on a page, such as `#aabbcc`; may be empty.
        is_count: Whether the value is a mapping of counts of examples.
    """

    key: str
    title: str
    value: Any
    text: str
    colour: str = ""
    is_count: bool = False

    @staticmethod
    def of_counts(key: str, title: str, counts: Mapping[str, int]) -> Fact:
        """Make a fact of counts of examples by name."""
        text = ", ".join(f"{name}: {number:,}" for name, number in counts.items())
        return Fact(key, title, dict(counts), text, is_count=True)
