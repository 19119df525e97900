"""Properties, measures and facts of examples that a modality gives to the audit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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

    @staticmethod
    def of_words(name: str, values: Sequence[str]) -> Property:
        """Make a technical property that is one of a few words."""
        words = [word for word, _ in Counter(values).most_common()]
        columns = np.array([[value == word for word in words] for value in values], np.float64)
        return Property(name, columns, tuple(values), lambda p: most_common(values, p), True)

    @staticmethod
    def of_numbers(name: str, values: Sequence[float], form: str) -> Property:
        """Make a property that is a number, to which the content contributes.

        Args:
            name: Name for messages.
            values: Number of each example.
            form: Format of a number, such as `{:.2f} s`.
        """
        column = np.array(values, np.float64)
        return Property(
            name,
            column[:, np.newaxis],
            tuple(form.format(value) for value in values),
            lambda places: form.format(float(np.median(column[places]))),
            False,
        )


def most_common(values: Sequence[str], places: np.ndarray) -> str:
    """Find the most common of the values at some places, which are not none."""
    return Counter(values[place] for place in places).most_common(1)[0][0]


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

    @staticmethod
    def of_words(key: str, title: str, words: Iterable[str]) -> Fact:
        """Make a fact of how many examples have each word, the most common first."""
        return Fact.of_counts(key, title, dict(Counter(words).most_common()))
