"""For any texts in a folder or a table, every one is used, left out by reason, or ignored."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from kft.config import DataConfig
from kft.data import load_splits
from kft.modalities.text.inspection import DECODED_TWICE, REPLACED

GOOD = 30


class Kind(NamedTuple):
    """A kind of bad or unusual text.

    Attributes:
        name: What it is.
        content: Its bytes.
        reason: Pattern of the reason why it is left out; None if it is used.
        noticed: Remark about a used text; empty for none.
    """

    name: str
    content: bytes
    reason: str | None = None
    noticed: str = ""


KINDS = (
    Kind("empty", b"", "the file is empty"),
    Kind("spaces", b" \t\r\n", "empty, or of spaces alone"),
    Kind("wide spaces", "\u3000\u00a0\u2003".encode(), "empty, or of spaces alone"),
    Kind("mark alone", b"\xef\xbb\xbf", "empty, or of spaces alone"),
    Kind("latin1", "un caf\xe9 fin".encode("latin-1"), "not UTF-8: byte 0xe9 at place 6"),
    Kind("windows", b"\x93a quoted film\x94", "not UTF-8: byte 0x93 at place 0"),
    Kind("cut off", "a fine film é".encode()[:-1], "not UTF-8: byte 0xc3 .*unexpected end"),
    Kind("overlong", b"a film \xc0\xaf", "not UTF-8: byte 0xc0"),
    Kind("surrogate", b"half \xed\xa0\x80 a pair", "not UTF-8: byte 0xed"),
    Kind("utf16", "a film in pairs".encode("utf-16"), "UTF-16, not UTF-8"),
    Kind("utf16 without mark", "a film".encode("utf-16-le"), "a zero byte at place 1"),
    Kind("utf32", "a film".encode("utf-32"), "UTF-32, not UTF-8"),
    Kind("zero byte", b"a fine\0film", "a zero byte at place 6"),
    Kind("picture", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a zero byte"),
    Kind("too long", b"a film " * 400, r"at most 2,000 (characters )?are read"),
    Kind("far too long", b"x" * 9_000, r"at most 2,000 characters are read"),
    Kind("replaced", "a caf\ufffd film".encode(), noticed=REPLACED),
    Kind("decoded twice", "a café film".encode().decode("latin-1").encode(), noticed=DECODED_TWICE),
    Kind("emoji", "👩‍👩‍👧‍👦 🤖 ❤️".encode()),
    Kind("right to left", "\u202eשלום עולם\u202c مرحبا".encode()),
    Kind("control characters", b"a\x01 film\x7f with bells\x07"),
    Kind("line ends", b"a film\r\rof lines\n\n"),
    Kind("marked", b"\xef\xbb\xbfa film behind a mark"),
    Kind("combining", ("z" + "\u0301" * 300).encode()),
    Kind("special tokens", b"[CLS] a film [SEP] </s> <pad>"),
)
BAD = {kind.name: kind.reason for kind in KINDS if kind.reason is not None}


def configure(path: Path, **settings) -> DataConfig:
    text = {"max_characters": 2_000}
    return DataConfig(path=str(path), modality="text", text=text, **settings)


def count_used(splits) -> int:
    return sum(len(splits.get(name)) for name in ("train", "validation", "holdout"))


def assert_accounted(splits, name_of) -> None:
    found = {name_of(bad.name): bad.reason for bad in splits.quarantined}
    assert found.keys() == BAD.keys()
    for name, reason in BAD.items():
        assert re.search(reason, found[name]), (name, found[name])
    assert count_used(splits) == 2 * GOOD + len(KINDS) - len(BAD)
    noticed = [kind.noticed for kind in KINDS if kind.noticed]
    assert dict(splits.noticed) == {remark: noticed.count(remark) for remark in noticed}


def test_there_are_kinds_enough():
    assert len(KINDS) >= 20 and len({kind.name for kind in KINDS}) == len(KINDS)


def test_every_file_of_a_folder_is_accounted_for(tmp_path):
    for label in ("good", "bad"):
        (tmp_path / label).mkdir()
        for number in range(GOOD):
            text = f"a {label} film, number {number} of the {label} ones, by {number * 7}"
            (tmp_path / label / f"{number}.txt").write_text(text)
    for kind in KINDS:
        (tmp_path / "bad" / f"{kind.name}.txt").write_bytes(kind.content)
    (tmp_path / "bad" / "page.html").write_text("<p>a film</p>")
    (tmp_path / "bad" / ".hidden.txt").write_text("a film")
    splits = load_splits(configure(tmp_path))
    assert_accounted(splits, lambda name: Path(name).stem)
    assert sum(splits.ignored.values()) == 2


def test_every_row_of_a_table_is_accounted_for(tmp_path):
    rows = [
        json.dumps({"text": " ".join(f"{label}{n * word}" for word in range(2, 9)), "label": label})
        for label in ("good", "bad")
        for n in range(GOOD)
    ]
    # What JSON can hold, and what the reader itself says of cells and lines.
    texts = {
        "blank": ("", "blank"),
        "spaces": (" \u3000", "blank"),
        "surrogate": ("half \ud800 a pair", "not UTF-8"),
        "zero": ("a\0film", "a zero byte"),
        "long": ("a film " * 400, "at most 2,000"),
        "list": (["a", "film"], "neither text nor a number"),
        "none": (None, "blank"),
    }
    lines = [json.dumps({"text": text, "label": "bad"}) for text, _ in texts.values()]
    others = {
        '{"text": "a film without a label"}': "column 'label' is blank",
        '{"text": "a film", "label": "N/A"}': "means a missing value",
        '{"text": "cut off': "not a JSON object",
        "[1, 2]": "not a JSON object",
    }
    path = tmp_path / "reviews.jsonl"
    path.write_text("\n".join([*rows, *lines, *others]) + "\n")
    splits = load_splits(configure(path))
    expected = [reason for _, reason in texts.values()] + list(others.values())
    places = [int(re.search(r"line (\d+)", bad.name)[1]) for bad in splits.quarantined]
    found = dict(zip(places, (bad.reason for bad in splits.quarantined), strict=True))
    assert sorted(found) == list(range(2 * GOOD + 1, 2 * GOOD + 1 + len(expected)))
    for place, reason in enumerate(expected, 2 * GOOD + 1):
        assert reason in found[place], (place, found[place])
    assert count_used(splits) == 2 * GOOD


def test_the_same_text_under_two_labels_is_left_out_under_both(tmp_path):
    rows = [
        {"text": f"film {n} of a {label} kind", "label": label}
        for label in ("good", "bad")
        for n in range(GOOD)
    ]
    rows += [{"text": "one film", "label": label} for label in ("good", "bad")]
    path = tmp_path / "reviews.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    splits = load_splits(configure(path))
    assert [bad.name for bad in splits.quarantined] == ["line 61", "line 62"]
    assert count_used(splits) == 2 * GOOD


@pytest.mark.parametrize("name", [kind.name for kind in KINDS])
def test_a_tokenizer_takes_any_bytes(name):
    import tensorflow as tf

    from kft.modalities.text.decoding import TextDecoder
    from kft.modalities.text.input_spec import TextSpec

    (content,) = (kind.content for kind in KINDS if kind.name == name)
    spec = TextSpec("hashed_words", ("[PAD]", "[UNK]"), buckets=50, max_tokens=8)
    decoded = TextDecoder(spec)(tf.constant(content))
    assert 1 <= int(tf.reduce_sum(decoded["padding_mask"])) <= 8
