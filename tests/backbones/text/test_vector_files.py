"""Files of word vectors are read whole, or refused with the place of the damage."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from kft.backbones.text.vector_files import WordVectors, read_word_vectors
from kft.errors import BackboneError

WORDS = ("the", "café", "new york", "1.5")
VALUES = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def make_lines(words=WORDS, values=VALUES) -> list[str]:
    return [
        f"{word} {' '.join(map(repr, map(float, row)))}"
        for word, row in zip(words, values, strict=True)
    ]


def make_binary(*, count: int = 4, words=WORDS, ending: bytes = b"") -> bytes:
    entries = [
        word.encode().replace(b" ", b"_") + b" " + struct.pack("<3f", *row) + ending
        for word, row in zip(words, VALUES, strict=True)
    ]
    return b"%d 3\n" % count + b"".join(entries)


def read(tmp_path: Path, content: str | bytes, most_words: int = 100) -> WordVectors:
    path = tmp_path / "vectors"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_word_vectors(path, most_words=most_words)


TEXT = "\n".join(make_lines()) + "\n"


@pytest.mark.parametrize(
    "content",
    [TEXT, f"4 3\n{TEXT}", TEXT.replace("\n", " \r\n"), TEXT.rstrip("\n")],
    ids=["GloVe", "word2vec", "spaces and line ends", "no last line end"],
)
def test_text_files_are_read_with_and_without_a_header(tmp_path, content):
    vectors = read(tmp_path, content)
    assert vectors.words == WORDS
    np.testing.assert_array_equal(vectors.values, VALUES)
    assert vectors.sha256 == hashlib.sha256(content.encode()).hexdigest()
    assert vectors.num_skipped == 0 and not vectors.is_cased


@pytest.mark.parametrize("ending", [b"", b"\n"], ids=["packed", "line ends"])
def test_binary_files_are_read(tmp_path, ending):
    vectors = read(tmp_path, make_binary(ending=ending))
    assert vectors.words == ("the", "café", "new_york", "1.5")
    np.testing.assert_array_equal(vectors.values, VALUES)


def test_the_first_words_are_read_and_repeated_or_undecodable_ones_skipped(tmp_path):
    assert read(tmp_path, TEXT, most_words=2).words == ("the", "café")
    assert read(tmp_path, make_binary(), most_words=2).words == ("the", "café")
    lines = make_lines(("the", "the", "\udce9", "Fox"))
    content = "\n".join(lines).encode("utf-8", "surrogateescape")
    vectors = read(tmp_path, content)
    assert vectors.words == ("the", "Fox") and vectors.num_skipped == 2 and vectors.is_cased
    np.testing.assert_array_equal(vectors.values, VALUES[[0, 3]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"vectors, line 1: no word with its numbers, but ''. Expected word vectors"),
        ("label,text\n0,fine\n", r"line 1: no word with its numbers, but 'label,text'"),
        (TEXT.replace("new york", "new york ! \n"), r"line 3: expected a word and 3 finite numb"),
        (f"{TEXT}fox 1.0 2.0\n", r"line 5: expected a word and 3 finite numbers, found 'fox 1.0"),
        (f"{TEXT}fox 1.0 nan 2.0\n", r"line 5: .* found 'fox 1.0 nan 2.0'"),
        (f"{TEXT}fox 1.0 2,5 2.0\n", r"line 5: .* found 'fox 1.0 2,5 2.0'"),
        (f"{TEXT}\n", r"line 5: expected a word and 3 finite numbers, found ''"),
        (f"9 3\n{TEXT}", r"line 1 states 9 words, but 4 lines follow. The file was cut"),
        ("0 3\n", r"line 1: states 0 words of 3 numbers"),
        ("4 999999\n", r"line 1: states 4 words of 999,999 numbers. .* 1 to 4,096 numbers"),
        (make_binary()[:-5], r"vectors: ends within word 4 of the 4 that line 1 states"),
        (make_binary(count=5), r"vectors: ends within word 5 of the 5"),
        (
            make_binary().replace(struct.pack("<f", VALUES[1, 1]), b"\0\0\xc0\x7f"),
            r"word 2, 'café', has numbers that are not finite",
        ),
        ("\udce9 1 2\n".encode("utf-8", "surrogateescape"), r"holds no word in UTF-8"),
    ],
    ids=lambda value: value if isinstance(value, str) and "line" in value else "",
)
def test_a_damaged_file_is_refused_by_line_or_word(tmp_path, content, message):
    with pytest.raises(BackboneError, match=message):
        read(tmp_path, content)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BackboneError, match=r"no such file of word vectors: .*nothing"):
        read_word_vectors(tmp_path / "nothing", most_words=1)
