"""Word vectors and their fine-tuning on the documentation of the installed scientific packages."""

from __future__ import annotations

import importlib
import inspect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np

from kft.demos.demonstration import Comparison, Demonstration, Place, override

TEXTS_PER_CLASS = 20
# Parts of SciPy whose functions are to be told apart by what is written of them.
TOPICS = ("linalg", "optimize", "signal", "special", "stats")
# Documentation that the word vectors are learned from: none of the labelled texts is in it.
UNLABELLED = (
    *("numpy", "numpy.random", "numpy.linalg", "numpy.fft", "numpy.polynomial"),
    *("sklearn.metrics", "sklearn.linear_model", "sklearn.decomposition", "sklearn.svm"),
    *("sklearn.cluster", "sklearn.neighbors", "sklearn.mixture", "sklearn.covariance"),
    *("scipy.integrate", "scipy.interpolate", "scipy.ndimage", "scipy.fft", "scipy.sparse"),
)
DIMENSIONS, WINDOW, LEAST_COUNT = 50, 4, 3
SETTINGS = ("backbone.name=word_vectors", "data.validation=0")


class TextDemonstration(Demonstration):
    """Learn word vectors from documentation, then topics from few texts; compare with noise."""

    heading = f"word vectors, {len(TOPICS)} parts of SciPy"
    conditions = f"Both trained on {TEXTS_PER_CLASS} labelled texts of each class."
    questions = "texts"
    own = "texts"
    example = "kft train TABLE.csv"

    def prepare(self, place: Place) -> Sequence[Comparison]:
        """See `Demonstration`."""
        directory, display = place.directory, place.display
        display.stage(f"Writing what SciPy says of its functions to {directory}")
        write_topics(directory / "topics")
        display.stage(f"\nLearning word vectors from the documentation of {len(UNLABELLED)} others")
        words, vectors = learn_vectors(list(read_documentation(UNLABELLED)))
        noise = np.random.default_rng(0).normal(0, vectors.std(), vectors.shape)
        paths = [directory / name for name in ("vectors.txt", "random-vectors.txt")]
        for path, values in zip(paths, (vectors, noise), strict=True):
            write_vectors(path, words, values)
        titles = ("word vectors of other documentation", "random vectors of the same words")
        return [
            Comparison(title, stage, directory / "topics", (*SETTINGS, weights))
            for title, stage, weights in zip(
                titles,
                (
                    f"Learning to tell the parts of SciPy, from {TEXTS_PER_CLASS} texts each",
                    "The same from random vectors",
                ),
                [override("backbone.weights", path) for path in paths],
                strict=True,
            )
        ]

    def list_questions(self, directory: Path) -> Sequence[Path]:
        """See `Demonstration`."""
        return [min((directory / "topics/holdout" / name).iterdir()) for name in TOPICS]


def write_topics(folder: Path) -> None:
    """Write the first paragraphs about each function as texts, in train and holdout."""
    for topic in TOPICS:
        module = importlib.import_module(f"scipy.{topic}")
        texts = dict.fromkeys(map(_first_paragraphs, read_members(module)))
        # Of classes of distributions the same is written.
        chosen = sorted(text for text in texts if 40 <= len(text) <= 1500)
        np.random.default_rng(0).shuffle(chosen)
        for number, text in enumerate(chosen):
            split = "train" if number < TEXTS_PER_CLASS else "holdout"
            path = folder / split / topic / f"{number:03d}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def read_documentation(modules: Sequence[str]) -> Iterator[str]:
    """Read the documentation of all public members of some modules."""
    for name in modules:
        yield from read_members(importlib.import_module(name))


def read_members(module: ModuleType) -> Iterator[str]:
    """Read the documentation of the public members of a module."""
    for name in sorted(getattr(module, "__all__", dir(module))):
        found = getattr(module, name, None)
        text = getattr(found, "__doc__", None)
        if not name.startswith("_") and not inspect.ismodule(found) and isinstance(text, str):
            yield inspect.cleandoc(text)


def _first_paragraphs(text: str) -> str:
    """Cut a description before its first section, and remove the line of a signature."""
    body = re.split(r"\n[^\n]+\n-{3,}", text)[0]
    lines = [line for line in body.splitlines() if not re.match(r"[\w.]+\(.*\)", line)]
    return " ".join(" ".join(lines).split())


def split_words(text: str) -> list[str]:
    """Split a text into words in lower case."""
    return re.findall(r"[a-z]+", text.lower())


def learn_vectors(texts: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Learn word vectors, by the singular vectors of the words that stand near each other.

    Source: Levy and Goldberg, Neural Word Embedding as Implicit Matrix Factorization, NIPS 2014.

    Returns:
        Words, and their vectors, float (words, dimensions).
    """
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import svds

    sentences = [split_words(text) for text in texts]
    counts = Counter(word for sentence in sentences for word in sentence)
    words = sorted(word for word, number in counts.items() if number >= LEAST_COUNT)
    place_of = {word: place for place, word in enumerate(words)}
    near: Counter[tuple[int, int]] = Counter()
    for sentence in sentences:
        places = [place_of[word] for word in sentence if word in place_of]
        for distance in range(1, WINDOW + 1):
            near.update(zip(places, places[distance:], strict=False))
    rows, columns = np.array(list(near)).T
    values = np.array(list(near.values()), np.float64)
    table = coo_array((values, (rows, columns)), shape=(len(words), len(words))).tocsr()
    table = table + table.T
    total, sums = table.sum(), np.asarray(table.sum(axis=1)).ravel()
    pairs = table.tocoo()
    information = np.log(pairs.data * total / (sums[pairs.row] * sums[pairs.col]))
    positive = coo_array((np.maximum(information, 0.0), (pairs.row, pairs.col)), shape=pairs.shape)
    left, sizes, _ = svds(positive.tocsr(), k=DIMENSIONS, rng=np.random.default_rng(0))
    return words, left * np.sqrt(sizes)


def write_vectors(path: Path, words: Sequence[str], vectors: np.ndarray) -> None:
    """Write word vectors as GloVe does."""
    rows = zip(words, vectors, strict=True)
    lines = (f"{word} {' '.join(f'{value:.5f}' for value in row)}\n" for word, row in rows)
    path.write_text("".join(lines), encoding="utf-8")
