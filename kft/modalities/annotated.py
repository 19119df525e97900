"""Boxes around objects as annotation files state them, before the files are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

FRACTIONS = (1.0, 1.0)
"""Stated size of an example whose sides are fractions of its width and height."""


class Box(NamedTuple):
    """A box around one object, as it is written.

    Attributes:
        name: Class of the object.
        sides: Left, top, right and bottom, in units of the stated size.
    """

    name: str
    sides: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Annotated:
    """An example with its boxes.

    Attributes:
        file: Path of its file.
        place: File, and part of it, that states the boxes; for messages.
        size: Stated width and height; None if none is stated, `FRACTIONS` for such sides.
        boxes: Boxes; none for an example without objects.
        split: Word for its split; None if the annotations have no splits.
        problem: Reason why the example cannot be used; None if it can.
    """

    file: str
    place: str
    size: tuple[float, float] | None
    boxes: tuple[Box, ...] = ()
    split: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Annotations:
    """All annotations of a data set.

    Attributes:
        root: Folder that the names of the examples start from.
        read: Yields the examples, few at a time; memory does not grow with the whole.
        class_names: Names of the classes in order; None to sort those that occur.
        notes: Sentences about annotations that are read in another form, once all are read.
        ignored: Reason -> number of files that are not used, once all are read.
    """

    root: Path
    read: Callable[[], Iterator[Annotated]]
    class_names: Sequence[str] | None = None
    notes: list[str] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert self.class_names is None or len(set(self.class_names)) == len(self.class_names)


@dataclass(frozen=True)
class Outlined:
    """An example with a mask that was drawn from outlines.

    Attributes:
        name: File name, as the file writes it.
        mask: Path of the drawn mask; None if it cannot be drawn.
        problem: Reason why there is no mask.
    """

    name: str
    mask: str | None
    problem: str | None = None


class AnnotationError(Exception):
    """Reason why annotations cannot be read at all, with the place and the remedy."""
