"""Texts that hold little, or were damaged before they came here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kft.findings import Finding, Flagged, count
from kft.modalities.text.inspection import DECODED_TWICE, REPLACED, WORD, CheckedText

# Of a longer run of one character only a scraper or a cat is the author.
_LONGEST_RUN = 30


@dataclass(frozen=True)
class _Case:
    """One thing that may be wrong, and how to tell it."""

    kind: str
    is_so: Callable[[CheckedText], bool]
    text: str


# A text is told of once, by the first that is true of it.
_CASES = (
    _Case(
        "damaged_encoding",
        lambda seen: REPLACED in seen.noticed or DECODED_TWICE in seen.noticed,
        "with letters that were lost or replaced when the encoding was misread. Export them again "
        "as UTF-8, or repair them.",
    ),
    _Case(
        "no_words",
        lambda seen: not any(letter.isalpha() for letter in seen.text),
        "without a letter. Remove them, or look whether numbers and marks say what their label "
        "says.",
    ),
    _Case(
        "one_word",
        lambda seen: len(WORD.findall(seen.text)) == 1,
        "of a single word. Look whether it says what their label says.",
    ),
    _Case(
        "repeated_character",
        lambda seen: _find_longest_run(seen.text) > _LONGEST_RUN,
        f"with a run of more than {_LONGEST_RUN} equal characters. Look whether they are texts.",
    ),
)


def _find_longest_run(text: str) -> int:
    longest = run = 0
    previous = ""
    for letter in text:
        run = run + 1 if letter == previous and not letter.isspace() else 1
        longest, previous = max(longest, run), letter
    return longest


def find_poor(seen: Sequence[CheckedText]) -> tuple[Finding, ...]:
    """Damaged texts and texts that say little, each told of once."""
    told: set[int] = set()
    findings = []
    for case in _CASES:
        places = [i for i, each in enumerate(seen) if i not in told and case.is_so(each)]
        told.update(places)
        if places:
            files = tuple(Flagged(seen[place].name, seen[place].shown) for place in places)
            sentence = f"{count(len(files), 'text')} {case.text}"
            findings.append(Finding(case.kind, "warning", sentence, files))
    return tuple(findings)
