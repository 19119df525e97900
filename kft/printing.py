"""Text of files and their names, fit to be printed."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text, with what would move the cursor or is no letter at all written out.

    >>> printable("two\\nlines")
    'two\\\\nlines'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def printable_lines(text: str) -> str:
    """As `printable`, of a text whose lines are meant as lines."""
    return "\n".join(map(printable, text.split("\n")))
