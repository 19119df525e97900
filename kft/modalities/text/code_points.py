"""Code points -> normalised code points and their kinds, as BERT's tokenizers define them.

Two arrays hold all of Unicode, so that TensorFlow reads them with a gather.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

# Kinds of a normalised code point. Absent ones fill the rows of shorter sequences.
ABSENT, LETTER, ALONE, SPACE = range(4)
REPLACEMENT = 0xFFFD
"""Code point of bytes that are not UTF-8; it is dropped."""
# Normalised code points of one: three for the syllables of Hangul.
_WIDTH = 3
PAGE = 256
"""Code points that a table holds side by side."""
# Unified ideographs and their compatibility forms; each is a word of its own.
_IDEOGRAPHS = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)
# Control, format, private use, surrogate.
_DROPPED = frozenset(("Cc", "Cf", "Co", "Cs"))
_KEPT_CONTROLS = frozenset("\t\n\r")
_ASCII_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


@dataclass(frozen=True, eq=False)
class CodePoints:
    """The normalisation of every code point, in pages of 256 that equal ones share.

    Attributes:
        pages: int32 (4352,), the page of the code points from 256 * i on.
        shifts: int32 (pages, 256, 3), to be added to a code point for its normalised ones.
        kinds: int8 (pages, 256, 3), the kind of each of these.
    """

    pages: np.ndarray
    shifts: np.ndarray
    kinds: np.ndarray


@cache
def load_code_points(*, lowercase: bool, strip_accents: bool) -> CodePoints:
    """Make the table of one normalisation.

    Control characters and private code points are dropped. Each code point is
    normalised alone, which differs from the whole text only in the order of marks that take
    space (Mc) and follow each other.

    Args:
        lowercase: Map to lower case.
        strip_accents: Decompose, and drop marks that take no space.

    Categories are those of Python's Unicode. The library `tokenizers` has older ones: it keeps 400
    marks of rare scripts that were added since Unicode 8.

    Source: Devlin et al., BERT, arXiv:1810.04805, tokenization.py; with the categories that the
    library `tokenizers` drops.
    """
    make_page = partial(_make_page, lowercase=lowercase, strip_accents=strip_accents)
    pages, (shifts, kinds) = share_pages(make_page)
    return CodePoints(pages, shifts, kinds)


def share_pages(
    make_page: Callable[[int], tuple[np.ndarray, ...]],
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Make a table of all code points, in which equal pages are held once.

    Args:
        make_page: Gives the columns of a page, arrays (256, …), by its first code point.

    Returns:
        Place of each page, int32 (4352,), and the columns (different pages, 256, …).
    """
    numbers: dict[bytes, int] = {}
    places = np.empty((sys.maxunicode + 1) // PAGE, np.int32)
    different: list[tuple[np.ndarray, ...]] = []
    for place in range(len(places)):
        page = make_page(place * PAGE)
        key = b"".join(column.tobytes() for column in page)
        places[place] = numbers.setdefault(key, len(numbers))
        if len(numbers) > len(different):
            different.append(page)
    return places, tuple(np.stack(columns) for columns in zip(*different, strict=True))


def _make_page(
    first: int, *, lowercase: bool, strip_accents: bool
) -> tuple[np.ndarray, np.ndarray]:
    shifts = np.zeros((PAGE, _WIDTH), np.int32)
    kinds = np.zeros((PAGE, _WIDTH), np.int8)
    for place in range(PAGE):
        code = first + place
        letter = chr(code)
        category = unicodedata.category(letter)
        if code == REPLACEMENT or (category in _DROPPED and letter not in _KEPT_CONTROLS):
            continue
        if letter.isspace() or category == "Cn":
            kinds[place, 0] = SPACE if letter.isspace() else LETTER
            continue
        normalised = _normalise(letter, lowercase=lowercase, strip_accents=strip_accents)
        is_ideograph = any(low <= code <= high for low, high in _IDEOGRAPHS)
        for column, each in enumerate(normalised):
            shifts[place, column] = ord(each) - code
            kinds[place, column] = ALONE if is_ideograph else _find_kind(each)
    return shifts, kinds


def _normalise(letter: str, *, lowercase: bool, strip_accents: bool) -> str:
    if strip_accents:
        marked = unicodedata.normalize("NFD", letter)
        letter = "".join(each for each in marked if unicodedata.category(each) != "Mn")
    return "".join(map(str.lower, letter)) if lowercase else letter


def _find_kind(letter: str) -> int:
    if letter.isspace():
        return SPACE
    is_mark = letter in _ASCII_PUNCTUATION or unicodedata.category(letter)[0] == "P"
    return ALONE if is_mark else LETTER
