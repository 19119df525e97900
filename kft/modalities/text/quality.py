"""Search for texts that hold little or were damaged earlier."""

from __future__ import annotations

from collections.abc import Sequence

from kft.findings import Finding
from kft.modalities.poor_examples import PoorCase, find_poor_examples
from kft.modalities.text.inspection import DECODED_TWICE, REPLACED, WORD, CheckedText

# Of a longer run of one character only a scraper or a cat is the author.
_LONGEST_RUN = 30


def _show(seen: CheckedText) -> str:
    return seen.shown


# A text is reported once, by the first case that applies.
_CASES = (
    PoorCase(
        "damaged_encoding",
        lambda seen: REPLACED in seen.noticed or DECODED_TWICE in seen.noticed,
        "with letters that were lost or replaced when the encoding was misread. Export them again "
        "as UTF-8, or repair them.",
        _show,
    ),
    PoorCase(
        "no_words",
        lambda seen: not any(letter.isalpha() for letter in seen.text),
        "without a letter. Remove them, or look whether numbers and marks say what their label "
        "says.",
        _show,
    ),
    PoorCase(
        "one_word",
        lambda seen: len(WORD.findall(seen.text)) == 1,
        "of a single word. Look whether it says what their label says.",
        _show,
    ),
    PoorCase(
        "repeated_character",
        lambda seen: _find_longest_run(seen.text) > _LONGEST_RUN,
        f"with a run of more than {_LONGEST_RUN} equal characters. Look whether they are texts.",
        _show,
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
    """Find damaged texts and texts that say little."""
    return find_poor_examples(seen, _CASES, noun="text")
