"""Corruptions of texts: typos and truncation."""

from __future__ import annotations

import string

import numpy as np

from kft.modalities.corruptions import Corruption

# Share of the letters that are mistyped, and share of the words that are left.
_TYPOS = (0.01, 0.03, 0.06, 0.1, 0.2)
_KEPT = (0.8, 0.6, 0.4, 0.2, 0.1)


def mistype(content: bytes, strength: int, random: np.random.Generator) -> bytes:
    """Swap, drop, double or replace letters of a text.

    Args:
        content: Text in UTF-8.
        strength: From 0 to 4.
        random: Chooses the letters.
    """
    letters = list(content.decode("utf-8", "replace"))
    places = [place for place, letter in enumerate(letters) if letter.isalpha()]
    count = max(1, round(_TYPOS[strength] * len(places)))
    for place in random.permutation(places)[:count].tolist():
        kind = random.integers(4)
        if kind == 0 and place + 1 < len(letters):
            letters[place], letters[place + 1] = letters[place + 1], letters[place]
        elif kind == 1:
            letters[place] = ""
        elif kind == 2:
            letters[place] *= 2
        else:
            letters[place] = random.choice(list(string.ascii_lowercase))
    return "".join(letters).encode()


def truncate(content: bytes, strength: int, random: np.random.Generator) -> bytes:
    """Keep the first words of a text, at least one; see `mistype`."""
    words = content.split()
    return b" ".join(words[: max(1, round(_KEPT[strength] * len(words)))])


CORRUPTIONS = (
    Corruption("typos", tuple(f"{share:.0%} of the letters" for share in _TYPOS), mistype, True),
    Corruption("truncation", tuple(f"{share:.0%} is left" for share in _KEPT), truncate, True),
)
