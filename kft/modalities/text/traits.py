"""Common traits of texts, and deviations from them: length, script, case, single words."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kft.modalities.audit_records import Fact, Measure, Property
from kft.modalities.text.inspection import WORD, CheckedText

# Words that are tried, one by one, on whether they give the class away.
_MOST_WORDS = 200
# A word in fewer texts cannot be a rule.
_FEWEST_TEXTS = 5
# Where most texts are equally long their deviation is zero; twice the length is never odd.
_LEAST_LENGTH_DEVIATION = float(np.log(2.0))
# Characters by which a script is told; names are looked up letter by letter.
_SCRIPT_SAMPLE = 1_000
_LIMITS = (32, 64, 128, 256, 512)

Seen = Sequence[CheckedText]


def list_properties(seen: Seen) -> tuple[Property, ...]:
    """Length, letter case and single words."""
    lengths = _count_words(seen)
    return (
        Property(
            "length",
            lengths[:, np.newaxis],
            tuple(f"{length:.0f} words" for length in lengths),
            lambda places: f"median {np.median(lengths[places]):.0f} words",
            False,
        ),
        _case(seen),
        _words(seen),
    )


def _case(seen: Seen) -> Property:
    """The shares of capital letters and of punctuation, which writers and exports differ in."""
    shares = np.array([_find_shares(each.text) for each in seen], np.float64).reshape(-1, 2)
    return Property(
        "case and punctuation",
        shares,
        tuple(f"{upper:.0%} capitals, {marks:.0%} marks" for upper, marks in shares),
        lambda places: "{:.0%} capitals, {:.0%} marks".format(*shares[places].mean(axis=0)),
        False,
    )


def _find_shares(text: str) -> tuple[float, float]:
    letters = sum(map(str.isalpha, text))
    marks = sum(not letter.isalnum() and not letter.isspace() for letter in text)
    return sum(map(str.isupper, text)) / max(letters, 1), marks / max(len(text), 1)


def _words(seen: Seen) -> Property:
    """Presence of each of the most frequent words."""
    held = [set(WORD.findall(each.text.lower())) for each in seen]
    counts = Counter(word for words in held for word in words)
    # A word in every text tells as little as one in none.
    common = [
        word
        for word, number in counts.most_common()
        if _FEWEST_TEXTS <= number <= len(seen) - _FEWEST_TEXTS
    ][:_MOST_WORDS]
    columns = np.array([[word in words for word in common] for words in held], np.float64)
    columns = columns.reshape(len(seen), len(common)) if common else np.zeros((len(seen), 1))
    overall = columns.mean(axis=0) if len(seen) else columns

    def summarise(places: np.ndarray) -> str:
        gains = columns[places].mean(axis=0) - overall
        best = int(np.abs(gains).argmax())
        share = columns[places, best].mean()
        return f"{common[best]!r} in {share:.0%}, in {overall[best]:.0%} of all"

    return Property(
        "choice of single words", columns, tuple(each.shown for each in seen), summarise, False
    )


def list_measures(seen: Seen) -> tuple[Measure, ...]:
    """Length."""
    lengths = _count_words(seen)
    return (
        Measure(
            "length",
            np.log1p(lengths),
            _LEAST_LENGTH_DEVIATION,
            tuple(f"{length:.0f} words" for length in lengths),
        ),
    )


def summarise(seen: Seen) -> tuple[Fact, ...]:
    """Lengths, the losses by limits of length, and scripts; nothing without texts."""
    if not seen:
        return ()
    lengths = _count_words(seen)
    low, median, high, most = (
        int(value) for value in np.percentile(lengths, (0, 50, 95, 100), method="higher")
    )
    return (
        Fact(
            "words",
            "Words and marks",
            {"least": low, "median": median, "percentile_95": high, "greatest": most},
            f"{low:,} to {most:,}, median {median:,}; 95 of 100 texts have at most {high:,}",
        ),
        _losses(lengths),
        Fact.of_counts("scripts", "Scripts", Counter(map(find_script, seen))),
    )


def _losses(lengths: np.ndarray) -> Fact:
    """The texts that limits of length would cut, and the share of the words lost by it."""
    rows, texts = {}, []
    for limit in _LIMITS:
        cut = int((lengths > limit).sum())
        if cut:
            share = float(np.maximum(lengths - limit, 0).sum() / lengths.sum())
            rows[str(limit)] = {"texts": cut, "share_of_words": round(share, 4)}
            texts.append(f"{limit}: {cut:,} texts, {share:.1%} of the words")
    return Fact("cut", "Cut by a limit of words", rows, "; ".join(texts) or "none")


def summarise_group(seen: Seen) -> tuple[Fact, ...]:
    """Median length, and shares of capitals and marks."""
    lengths = _count_words(seen)
    shares = [_find_shares(each.text) for each in seen] or [(0.0, 0.0)]
    median = float(np.median(lengths)) if len(seen) else 0.0
    upper, marks = np.mean(shares, axis=0).tolist()
    return (
        Fact("words", "words", median, f"{median:.0f}"),
        Fact("capitals", "capitals", round(upper, 3), f"{upper:.0%}"),
        Fact("marks", "marks", round(marks, 3), f"{marks:.0%}"),
    )


def name_kinds(seen: Seen) -> tuple[str, ...]:
    """The script of each text."""
    return tuple(f"{find_script(each)} script" for each in seen)


def find_script(seen: CheckedText) -> str:
    """The script of most letters of a text, such as `Latin`, `Cyrillic` or `CJK`; or `no`."""
    # Unicode's names begin with the script: LATIN SMALL LETTER A.
    scripts = Counter(
        unicodedata.name(letter, "UNKNOWN").partition(" ")[0]
        for letter in seen.text[:_SCRIPT_SAMPLE]
        if letter.isalpha()
    )
    if not scripts:
        return "no"
    name = scripts.most_common(1)[0][0]
    return name if name == "CJK" else name.capitalize()


def _count_words(seen: Seen) -> np.ndarray:
    return np.array([each.num_words for each in seen], np.float64)
