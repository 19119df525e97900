"""Text of files and their names, fit to be printed."""

from __future__ import annotations

import os


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


def listed(names: list[str] | tuple[str, ...], limit: int = 10) -> str:
    """Up to `limit` names for a message, and how many more there are."""
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def readable(name: str) -> str:
    """A file name in UTF-8; bytes of it that are none are written as `\\xff`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
