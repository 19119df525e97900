"""Corruptions of examples, by which it is measured how much a model endures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NUM_STRENGTHS = 5
Corrupt = Callable[[Any, int, np.random.Generator], Any]
"""Function from an example, a strength from 0 to 4, and a generator to the corrupted example.

The example is its decoded elements by name, as the decoder gives them, or its content in bytes.
"""


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption.

    Attributes:
        name: Name, such as 'noise'.
        strengths: Description of each of the five strengths, weakest first.
        corrupt: The function.
        is_of_content: Whether it takes the content of an example rather than what is decoded.
    """

    name: str
    strengths: tuple[str, ...]
    corrupt: Corrupt
    is_of_content: bool = False

    def __post_init__(self) -> None:
        assert len(self.strengths) == NUM_STRENGTHS


def change_element(name: str, change: Callable[[np.ndarray, int, np.random.Generator], Any]) -> Any:
    """Make a corruption of decoded elements that changes one of them, and keeps its type."""

    def corrupt(
        inputs: Mapping[str, np.ndarray], strength: int, random: np.random.Generator
    ) -> dict[str, np.ndarray]:
        values = inputs[name]
        changed = change(values.astype(np.float32), strength, random)
        if np.issubdtype(values.dtype, np.integer):
            changed = np.clip(np.round(changed), 0, np.iinfo(values.dtype).max)
        return {**inputs, name: changed.astype(values.dtype)}

    return corrupt
