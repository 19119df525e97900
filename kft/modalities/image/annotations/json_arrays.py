"""Elements of the arrays in a large JSON object, read one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, TextIO

from kft.modalities.annotated import AnnotationError

# Characters that are read at a time. An element that is longer is read in several pieces.
_PIECE = 1 << 20
# An element of this length is not an annotation, and would take the memory that this saves.
_LONGEST = 1 << 28
_SPACE = " \t\n\r"


def read_arrays(path: Path, wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Read the elements of the arrays under some keys of a JSON object, in the order of the file.

    Other values are skipped. Memory holds one element and a megabyte of text.

    Args:
        path: Path of the file.
        wanted: Keys of the arrays at the top of the object.

    Yields:
        Key and element.

    Raises:
        AnnotationError: The file cannot be read, or is not such an object.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield from _Reader(path, file).read(wanted)
    except OSError as error:
        raise AnnotationError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except UnicodeDecodeError as error:
        raise AnnotationError(f"{path}: not UTF-8 text ({error.reason}).") from None


class _Reader:
    """Reader of one object, with the text that it has not consumed yet."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path = path
        self._file = file
        self._text = ""
        self._at = 0
        self._consumed = 0
        self._is_ended = False
        self._decode: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().raw_decode

    def read(self, wanted: Collection[str]) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        seen: set[str] = set()
        while self._peek() != "}":
            key = self._next_value()
            if not isinstance(key, str) or key in seen:
                raise self._error(f"key {key!r} is repeated or not text")
            seen.add(key)
            self._expect(":")
            if self._peek() == "[":
                for element in self._next_elements():
                    if key in wanted:
                        yield key, element
            elif key in wanted:
                raise self._error(f"{key!r} is not an array")
            else:
                self._next_value()
            if self._peek() != "}":
                self._expect(",")
        self._expect("}")
        if self._peek():
            raise self._error("text after the end of the object")

    def _next_elements(self) -> Iterator[Any]:
        self._expect("[")
        while self._peek() != "]":
            yield self._next_value()
            if self._peek() != "]":
                self._expect(",")
        self._expect("]")

    def _next_value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except ValueError:
                if self._is_ended or len(self._text) - self._at > _LONGEST:
                    raise self._error("not JSON, or cut off") from None
            else:
                # A number at the end of the text may go on in the next piece.
                if end < len(self._text) or self._is_ended:
                    self._at = end
                    return value
            self._fill()

    def _peek(self) -> str:
        """Return the next character that is not space; empty at the end of the file."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text) or self._is_ended:
                return self._text[self._at : self._at + 1]
            self._fill()

    def _expect(self, character: str) -> None:
        found = self._peek()
        if found != character:
            raise self._error(f"expected {character!r}, found {found or 'the end of the file'!r}")
        self._at += 1

    def _fill(self) -> None:
        piece = self._file.read(max(_PIECE, len(self._text) - self._at))
        self._is_ended = not piece
        self._consumed += self._at
        self._text, self._at = self._text[self._at :] + piece, 0

    def _error(self, problem: str) -> AnnotationError:
        place = self._consumed + self._at
        return AnnotationError(
            f"{self._path}, character {place:,}: {problem}. Expected a JSON object such as "
            '{"images": [...], "annotations": [...], "categories": [...]}.'
        )
