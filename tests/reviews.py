"""A table of short reviews, and word vectors that tell good ones from bad ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

WORDS = {"good": ("fine", "great", "lovely"), "bad": ("dull", "weak", "awful")}
OTHERS = ("a", "the", "film", "story", "actor", "music", ",", ".")


def write_reviews(place: Path) -> None:
    """Write reviews.csv (text, label) with 120 reviews, and vectors.txt with their words."""
    drawn = np.random.default_rng(0)
    rows = []
    for number in range(120):
        label = "good" if number % 2 else "bad"
        words = [*drawn.choice(OTHERS, 8), *drawn.choice(WORDS[label], 2)]
        rows.append((" ".join(drawn.permutation(words)), label))
    with (place / "reviews.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    signs = {word: sign for label, sign in (("good", 1.0), ("bad", -1.0)) for word in WORDS[label]}
    lines = []
    for word in (*OTHERS, *signs):
        numbers = drawn.normal(0, 0.3, 4) + np.array([signs.get(word, 0.0), 0, 0, 0])
        lines.append(f"{word} {' '.join(f'{number:.4f}' for number in numbers)}\n")
    (place / "vectors.txt").write_text("".join(lines))
