"""The gate for texts: what is refused, what is noticed, what is alike."""

from __future__ import annotations

import hashlib

import pytest

from kft.config import TextConfig
from kft.modalities import load_modality
from kft.modalities.checked import CheckOptions, FileContent, UnusableError
from kft.modalities.text.inspection import DECODED_TWICE, REPLACED, CheckedText, hash_words

MODALITY = load_modality("text")
REVIEW = "A stirring, funny and finally transporting re-imagining of Beauty and the Beast"


def check(content: bytes, *, with_likeness: bool = False, **settings) -> CheckedText:
    digest = hashlib.sha256(content).hexdigest()
    file = FileContent("a.txt", "/x/a.txt", content, digest, len(content), 0)
    given = TextConfig(**settings)
    MODALITY.refuse_early(content[:4096], len(content), given)
    return MODALITY.check(file, given, CheckOptions(with_likeness=with_likeness))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b" \r\n\t", "the text is empty, or of spaces alone"),
        ("\ufeff\u3000\u00a0".encode(), "the text is empty, or of spaces alone"),
        (b"caf\xe9", r"not UTF-8: byte 0xe9 at place 3 \(unexpected end of data\); save it as UT"),
        (b"caf\xc3\xa9 \x93quoted\x94", r"byte 0x93 at place 6 \(invalid start byte\)"),
        (b"\xed\xa0\x80", "byte 0xed at place 0"),
        ("fine".encode("utf-16"), "UTF-16, not UTF-8; save it as UTF-8"),
        ("fine".encode("utf-16-le"), "a zero byte at place 1: no text, or UTF-16 without a byte"),
        ("fine".encode("utf-32"), "UTF-32, not UTF-8"),
        (b"one\0two", "a zero byte at place 3"),
        (b"\x89PNG\r\n\x1a\n\0\0", "a zero byte at place 8"),
        (b"x" * 21, r"21 characters; at most 20 are read \(data.text.max_characters\)"),
        (b"x" * 81, r"0 MB; at most 20 characters are read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_text_is_refused_with_the_reason(content, reason):
    with pytest.raises(UnusableError, match=reason):
        check(content, max_characters=20)


def test_a_text_is_kept_as_it_is_without_its_byte_order_mark():
    text = "\U0001f44d \u05e9\u05dc\u05d5\u05dd, 漢字!\r\n"
    seen = check(b"\xef\xbb\xbf" + text.encode())
    assert seen.text == text and not seen.noticed and not seen.repaired
    assert seen.num_words == 5
    assert check(("漢" * 20).encode(), max_characters=20).text == "漢" * 20


@pytest.mark.parametrize(
    ("text", "noticed"),
    [
        ("the caf\ufffd", [REPLACED]),
        ("the café was good — “great”", []),
        ("the café was good".encode().decode("latin-1"), [DECODED_TWICE]),
        ("it’s ‘fine’ €5".encode().decode("cp1252", "replace"), [DECODED_TWICE]),
        ("Ã la carte, Â, São Paulo", []),
    ],
)
def test_damage_of_the_encoding_is_noticed(text, noticed):
    assert list(check(text.encode()).noticed) == noticed


def count_different_bits(one: str, other: str) -> int:
    first, second = hash_words(one), hash_words(other)
    assert first is not None and second is not None
    return (first ^ second).bit_count()


def test_case_punctuation_and_spaces_do_not_change_the_likeness():
    assert count_different_bits(REVIEW, REVIEW.upper().replace(",", " --\n") + "!!") == 0


def test_a_template_with_another_number_is_alike_and_another_text_is_not():
    template = (
        "You have won! As a valued customer our computer has picked you to win a prize of £{}. "
        "To claim it call the number below from a land line, lines close at midnight on sunday. "
        "Calls cost no more than a local call, and you may stop these messages at any time."
    )
    most = MODALITY.most_different_bits
    assert 0 < count_different_bits(template.format(150), template.format(900)) <= most
    assert count_different_bits(REVIEW, template) > 3 * most
    assert hash_words("one, two, three - four!") is None
    assert check(REVIEW.encode()).likeness is None
    assert check(REVIEW.encode(), with_likeness=True).likeness == hash_words(REVIEW)


def test_long_texts_are_shown_by_their_beginning_on_one_line():
    seen = check(("two\nlines\t\u202e" + "x" * 500).encode())
    assert seen.shown == "two lines \\u202e" + "x" * 84 + " …"


def test_a_feature_of_tfds_holds_a_text_or_is_refused():
    import tensorflow_datasets as tfds

    assert MODALITY.encode_feature(tfds.features.Text())("caf\u00e9".encode()) == b"caf\xc3\xa9"
    with pytest.raises(UnusableError, match="Expected a Text"):
        MODALITY.encode_feature(tfds.features.Image())
