"""What the audit knows of texts."""

from __future__ import annotations

import numpy as np
import pytest

from kft.modalities import load_modality
from kft.modalities.text.inspection import REPLACED, CheckedText
from kft.modalities.text.traits import find_script

MODALITY = load_modality("text")


def make_seen(*texts: str, noticed: tuple[str, ...] = ()) -> list[CheckedText]:
    return [
        CheckedText(f"{i}.txt", f"/{i}.txt", "", 1, 0, noticed=noticed, text=text)
        for i, text in enumerate(texts)
    ]


def get_facts(seen) -> dict[str, object]:
    return {fact.key: fact.value for fact in MODALITY.summarise(seen)}


def test_lengths_losses_and_scripts_are_summed_up():
    seen = make_seen(*["one two, three"] * 98, "слово " * 100, "word " * 600)
    facts = get_facts(seen)
    assert facts["words"] == {"least": 4, "median": 4, "percentile_95": 4, "greatest": 600}
    assert facts["cut"]["512"] == {"texts": 1, "share_of_words": round(88 / 1092, 4)}
    assert facts["cut"]["64"] == {"texts": 2, "share_of_words": round((36 + 536) / 1092, 4)}
    assert facts["scripts"] == {"Latin": 99, "Cyrillic": 1}
    assert MODALITY.summarise([]) == ()
    assert get_facts(make_seen("short"))["cut"] == {}


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Das Wort", "Latin"),
        ("漢字 ok", "CJK"),
        ("שלום", "Hebrew"),
        ("123 !!", "no"),
        ("한", "Hangul"),
    ],
)
def test_the_script_is_that_of_most_letters(text, script):
    (seen,) = make_seen(text)
    assert find_script(seen) == script
    assert MODALITY.name_kinds([seen]) == (f"{script} script",)


def test_each_poor_text_is_told_of_once():
    texts = ("Fine words here", "42 !!!", "Good", "a" * 40, "")
    findings = {each.kind: each for each in MODALITY.find_poor(make_seen(*texts))}
    assert {kind: [file.name for file in each.files] for kind, each in findings.items()} == {
        "no_words": ["1.txt", "4.txt"],
        "one_word": ["2.txt", "3.txt"],
    }
    assert findings["one_word"].sentence.startswith("2 texts of a single word. Look whether")
    runs = MODALITY.find_poor(make_seen("so " + "o" * 31, "so" + " " * 99))
    assert [(each.kind, len(each.files)) for each in runs] == [
        ("repeated_character", 1),
        ("one_word", 1),
    ][:1] or runs
    (damaged,) = MODALITY.find_poor(make_seen("caf\ufffd ok", noticed=(REPLACED,)))
    assert damaged.kind == "damaged_encoding" and damaged.files[0].note == "caf\ufffd ok"


def test_a_word_that_gives_the_class_away_is_named():
    positive = [f"movie number {i} [id-a] is seen" for i in range(20)]
    negative = [f"movie number {i} [id-b] is seen" for i in range(20)]
    properties = {
        each.name: each for each in MODALITY.list_properties(make_seen(*positive, *negative))
    }
    words = properties["choice of single words"]
    assert words.summarise(np.arange(20)) == "'a' in 100%, in 50% of all"
    assert words.columns.shape == (40, 2)  # `movie` is in every text, numbers are in two each.
    assert properties["length"].summarise(np.arange(40)) == "median 10 words"
    shares = properties["case and punctuation"].columns
    assert (shares[:, 0] == 0).all() and (shares[:, 1] > 0).all()


def test_properties_and_measures_take_any_number_of_texts():
    for seen in (make_seen(), make_seen("one"), make_seen("", "two words")):
        for each in MODALITY.list_properties(seen):
            assert each.columns.shape[0] == len(each.values) == len(seen)
        for measure in MODALITY.list_measures(seen):
            assert len(measure.values) == len(measure.texts) == len(seen)
        assert {fact.key for fact in MODALITY.summarise_group(seen)} == {
            "words",
            "capitals",
            "marks",
        }
