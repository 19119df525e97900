"""The facts of a text once it was read, and the checks that lead to them."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kft.config import TextConfig
from kft.modalities.checked import Checked, CheckOptions, FileContent, UnusableError
from kft.printing import printable

WORD = re.compile(r"\w+")
WORD_OR_MARK = re.compile(r"\w+|[^\w\s]")
# UTF-32 first: its mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# UTF-8 that was read as Latin-1 or Windows-1252, and saved again: `Ã©` for `é`.
_DECODED_TWICE = re.compile("Ã[\u0080-¿‚-™]|â€[\u0080-¿‚-™]|Â[\u00a0-¿]")
REPLACED = "holds U+FFFD, which stands for bytes that were lost"
DECODED_TWICE = "holds letters such as Ã©: UTF-8 that was read as Latin-1"
# Of fewer words, two different texts are too often alike but for one.
_FEWEST_WORDS = 5
_HASH_BITS = 64
# Characters.
_SHOWN = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedText(Checked):
    """A text that can be used.

    Attributes:
        text: All of it.
    """

    text: str

    @property
    def num_words(self) -> int:
        """Number of words and punctuation marks."""
        return sum(1 for _ in WORD_OR_MARK.finditer(self.text))

    @property
    def shown(self) -> str:
        """Its beginning on one line, for people."""
        line = printable(" ".join(self.text[: 2 * _SHOWN].split()))
        return line if len(line) <= _SHOWN else f"{line[:_SHOWN]} …"


def check_text(file: FileContent, settings: TextConfig, options: CheckOptions) -> CheckedText:
    """The record of a text.

    Raises:
        UnusableError: It is empty, no text, not UTF-8 or too long.
    """
    text = _decode(file.content)
    if not text.strip():
        raise UnusableError("the text is empty, or of spaces alone")
    if len(text) > settings.max_characters:
        raise UnusableError(
            f"{len(text):,} characters; at most {settings.max_characters:,} are read "
            "(data.text.max_characters)"
        )
    return CheckedText(
        file.name,
        file.path,
        file.digest,
        file.size,
        file.changed_ns,
        noticed=tuple(_find_remarks(text)),
        likeness=hash_words(text) if options.with_likeness else None,
        text=text,
    )


def _decode(content: bytes) -> str:
    mark = next((name for start, name in _MARKS.items() if content.startswith(start)), None)
    if mark is not None:
        raise UnusableError(f"{mark}, not UTF-8; save it as UTF-8")
    place = content.find(b"\0")
    if place >= 0:
        raise UnusableError(
            f"a zero byte at place {place:,}: no text, or UTF-16 without a byte order mark"
        )
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        raise UnusableError(
            f"not UTF-8: byte 0x{content[error.start]:02x} at place {error.start:,} "
            f"({error.reason}); save it as UTF-8"
        ) from None


def _find_remarks(text: str) -> Iterator[str]:
    if "\ufffd" in text:
        yield REPLACED
    if _DECODED_TWICE.search(text):
        yield DECODED_TWICE


def hash_words(text: str) -> int | None:
    """Hash of 64 bits that changes little with a text, whatever its case and punctuation.

    Each word and each pair of neighbours votes on every bit.

    Returns:
        None for a text of fewer than five words.

    Source: Charikar, Similarity estimation techniques from rounding algorithms, STOC 2002.
    """
    words = WORD.findall(text.lower())
    if len(words) < _FEWEST_WORDS:
        return None
    pairs = map(" ".join, pairwise(words))
    digests = b"".join(
        hashlib.blake2b(each.encode(), digest_size=_HASH_BITS // 8).digest()
        for each in (*words, *pairs)
    )
    votes = np.unpackbits(np.frombuffer(digests, np.uint8).reshape(-1, _HASH_BITS // 8), axis=1)
    bits = votes.mean(axis=0) > 0.5
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
