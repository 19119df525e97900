"""Word vectors from files: GloVe's text, and word2vec's text and binary formats."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from kft.backbones.weights import digest
from kft.errors import BackboneError
from kft.printing import printable

# Files for people have at most some hundred numbers per word.
_MOST_NUMBERS = 4096
_LONGEST_LINE = 200_000
_LONGEST_WORD = 10_000
_HEADER = re.compile(rb"\s*(\d+)\s+(\d+)\s*")


@dataclass(frozen=True, eq=False)
class WordVectors:
    """Words and their vectors.

    Attributes:
        words: Different words, in the order of the file: usually the most frequent first.
        values: float32 (words, numbers).
        sha256: Digest of the file.
        num_skipped: Entries among those read that repeat a word or are not UTF-8.
    """

    words: tuple[str, ...]
    values: np.ndarray
    sha256: str
    num_skipped: int

    @property
    def is_cased(self) -> bool:
        """Whether upper and lower case differ."""
        return any(word != word.lower() for word in self.words)


def read_word_vectors(path: Path, *, most_words: int) -> WordVectors:
    """Read a file of word vectors, of whichever of the three formats.

    Args:
        path: GloVe's text has a word and its numbers on each line; word2vec's formats have a
            first line with the number of words and of numbers per word.
        most_words: Words to read, from the start of the file.

    Raises:
        BackboneError: The file is missing, damaged or of another format; the message names the
            line or word.
    """
    if not path.is_file():
        raise BackboneError(f"backbone.weights: no such file of word vectors: {path}.")
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
        header = _HEADER.fullmatch(first)
        if header is None:
            file.seek(0)
            entries = _read_text(path, file, count=None, size=_count_numbers(path, first), line=1)
        else:
            count, size = int(header[1]), int(header[2])
            _check_header(path, count, size)
            start = file.tell()
            is_text = _is_text_line(file.readline(_LONGEST_LINE), size)
            file.seek(start)
            read = _read_text if is_text else _read_binary
            entries = read(path, file, count=count, size=size, line=2)
        words: dict[str, np.ndarray] = {}
        num_read = 0
        for raw, vector in entries:
            num_read += 1
            # Some released files hold words that were cut within a character.
            with suppress(UnicodeDecodeError):
                words.setdefault(raw.decode(), vector)
            if len(words) == most_words:
                break
    if not words:
        raise BackboneError(f"{path}: holds no word in UTF-8 with its vector.")
    values = np.stack(list(words.values()))
    return WordVectors(tuple(words), values, digest(path), num_read - len(words))


def _check_header(path: Path, count: int, size: int) -> None:
    if not count or not 1 <= size <= _MOST_NUMBERS:
        raise BackboneError(
            f"{path}, line 1: states {count:,} words of {size:,} numbers. Expected at least one "
            f"word, and 1 to {_MOST_NUMBERS:,} numbers per word."
        )


def _count_numbers(path: Path, line: bytes) -> int:
    """Number of numbers at the end of the first line of a file without a header."""
    size = 0
    for field in reversed(line.split()[1:]):
        if _parse([field]) is None:
            break
        size += 1
    if size < 2 or not line.endswith(b"\n"):
        raise BackboneError(
            f"{path}, line 1: no word with its numbers, but {_show(line)}. Expected word vectors: "
            "GloVe's text, or word2vec's text or binary format."
        )
    return size


def _is_text_line(line: bytes, size: int) -> bool:
    fields = line.split()
    return len(fields) > size and _parse(fields[-size:]) is not None


def _parse(fields: list[bytes]) -> np.ndarray | None:
    try:
        return np.array(fields, np.float32)
    except ValueError:
        return None


def _read_text(
    path: Path, file: BinaryIO, *, count: int | None, size: int, line: int
) -> Iterator[tuple[bytes, np.ndarray]]:
    """Word and numbers of each line; a word may hold spaces."""
    found = 0
    for number, content in enumerate(iter(lambda: file.readline(_LONGEST_LINE), b""), line):
        # Words may hold other spaces, such as U+00A0 and U+0085.
        word, *fields = content.rstrip(b" \r\n").rsplit(b" ", size)
        vector = _parse(fields) if len(fields) == size and word else None
        if vector is None or not np.isfinite(vector).all():
            raise BackboneError(
                f"{path}, line {number}: expected a word and {size} finite numbers, found "
                f"{_show(content)}. The file is damaged or was cut; download it again."
            )
        found += 1
        yield word, vector
    if count is not None and found != count:
        raise BackboneError(
            f"{path}: line 1 states {count:,} words, but {found:,} lines follow. The file was "
            "cut; download it again."
        )


def _read_binary(
    path: Path, file: BinaryIO, *, count: int, size: int, line: int
) -> Iterator[tuple[bytes, np.ndarray]]:
    """Word and numbers of each entry: the word, a space, float32 numbers, perhaps a line end."""
    for number in range(1, count + 1):
        word = _read_word(file)
        content = file.read(4 * size)
        if word is None or len(content) < 4 * size:
            raise BackboneError(
                f"{path}: ends within word {number:,} of the {count:,} that line 1 states. The "
                "file was cut; download it again."
            )
        vector = np.frombuffer(content, "<f4")
        if not word or not np.isfinite(vector).all():
            raise BackboneError(
                f"{path}: word {number:,}, {_show(word)}, has numbers that are not finite. The "
                "file is damaged, or not word2vec's binary format."
            )
        yield word, vector


def _read_word(file: BinaryIO) -> bytes | None:
    """The bytes up to the next space; None at the end of the file, or of what is no word."""
    word = bytearray()
    while (letter := file.read(1)) != b" ":
        if not letter or len(word) > _LONGEST_WORD:
            return None
        word += letter
    return bytes(word).lstrip(b"\r\n")


def _show(content: bytes) -> str:
    text = content[:60].decode("utf-8", "replace").strip()
    return printable(repr(text + (" …" if len(content) > 60 else "")))
