"""What a modality tells the audit of its examples, beside findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Property:
    """Something of an example that should not tell its class.

    Attributes:
        name: For messages.
        columns: Numbers of it, float64 (examples, columns).
        values: It as text, of each example.
        summarise: Positions -> what is typical of them.
        is_technical: It comes from how a file was made, not from what it holds.
    """

    name: str
    columns: np.ndarray
    values: tuple[str, ...]
    summarise: Callable[[np.ndarray], str]
    is_technical: bool


@dataclass(frozen=True)
class Measure:
    """A number of each example, in which some may lie far from the others.

    Attributes:
        name: For messages: `size`.
        values: float64 (examples,), on the scale on which distances count.
        least_deviation: Smaller deviations are never odd.
        texts: The number of each example as people read it.
    """

    name: str
    values: np.ndarray
    least_deviation: float
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Fact:
    """Something of a set of examples, for an overview.

    Attributes:
        key: Name in JSON.
        title: Name for people.
        value: JSON value.
        text: The value as people read it.
        colour: A colour that shows the value on a page, such as `#aabbcc`; may be empty.
        is_count: The value is a mapping that counts examples by a word.
    """

    key: str
    title: str
    value: Any
    text: str
    colour: str = ""
    is_count: bool = False

    @staticmethod
    def of_counts(key: str, title: str, counts: Mapping[str, int]) -> Fact:
        """How many examples there are of what."""
        text = ", ".join(f"{name}: {number:,}" for name, number in counts.items())
        return Fact(key, title, dict(counts), text, is_count=True)
