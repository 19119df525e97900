"""Conversion of file names and file contents to printable text."""

from __future__ import annotations

import os


def printable(text: str) -> str:
    """Escape characters that are not printable, such as those that move the cursor.

    >>> printable("two\\nlines")
    'two\\\\nlines'
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def printable_lines(text: str) -> str:
    r"""Escape characters that are not printable, but keep line breaks.

    >>> printable_lines("two\nlines\t")
    'two\nlines\\t'
    """
    return "\n".join(map(printable, text.split("\n")))


def listed(names: list[str] | tuple[str, ...], limit: int = 10) -> str:
    """Join up to `limit` names for a message, with the number of further ones.

    >>> listed(["a.png", "b.png", "c.png"], limit=2)
    'a.png, b.png and 1 more'
    """
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def readable(name: str) -> str:
    r"""Convert a file name to valid UTF-8, with invalid bytes escaped as `\xff`.

    >>> readable("caf\udce9.png")
    'caf\\xe9.png'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")
