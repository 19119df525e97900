"""Does what kft says of its own answers hold: calibration, error at a threshold, sets, familiarity?

Run: KFT_SHARED=../shared python benchmarks/honesty.py [--quick]

A linear probe on features of MobileNetV2 0.35. Temperature, threshold and
sets are chosen on out-of-fold answers to the training pictures and judged on
the holdout. Peer of the sets is the definition of MAPIE; familiarity is
learned on training features and judged on holdout features of the same set
against pictures of every other one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from pictures import SIZE, WEIGHTS
from report import make_parser, print_header, print_section, print_table, use_shared
from scipy import special

from kft.evaluation.abstention import (
    choose_threshold,
    fit_conformal,
    make_conformal_sets,
    measure_abstention,
)
from kft.evaluation.calibration import measure_reliability
from kft.evaluation.familiarity import (
    fit_familiarity,
    measure_unfamiliar,
    neighbour_distance,
)
from kft.linear import LinearTargets, solve_linear
from kft.statistics import apply_temperature, fit_temperature, wilson_interval
from kft.tasks import find_task

NUM_FOLDS = 5
SET_ERROR = 0.1
ANSWER_ERROR = 0.05
# Labelled sets, and others that are only unfamiliar.
LABELLED = {
    "ants_bees": "data/image/ants_bees",
    "sign_digits": "data/image/sign_digits",
    "cifar10": "data/image/cifar10",
}
OTHERS = {
    "blood_cells": "data/detection/blood_cells/JPEGImages",
    "camvid": "data/segmentation/camvid/train",
}
MOST_PICTURES = 1500


@dataclass(frozen=True)
class Known:
    """Features and classes of a set, and whether each picture belongs to the holdout."""

    features: np.ndarray
    classes: np.ndarray
    is_held: np.ndarray


def main() -> None:
    """Print the tables as Markdown."""
    asked = make_parser(__doc__).parse_args()
    shared = use_shared()
    most = 200 if asked.quick else MOST_PICTURES
    print_header("Honesty: what the model says of its own answers", (0,))
    known = {name: read_labelled(shared, folder, most) for name, folder in LABELLED.items()}
    other = {
        name: extract(shared, find_pictures(shared / folder, most))
        for name, folder in OTHERS.items()
    }
    print_section("Calibration, threshold and sets")
    headings = (
        *("data", "holdout", "accuracy", "temperature", "calibration error before", "after"),
        *(f"error at {ANSWER_ERROR:g}", "answered", f"coverage of sets at {1 - SET_ERROR:g}"),
        "classes in a set",
    )
    print_table(headings, (judge_answers(name, each) for name, each in known.items()))
    print_section("Familiarity: ROC AUC of the Mahalanobis distance, of the fifth neighbour")
    sources = {**{name: each.features for name, each in known.items()}, **other}
    print_table(("learned on", *sources), judge_familiarity(known, sources))


def judge_answers(name: str, known: Known) -> tuple[str, ...]:
    """A row of the first table."""
    train, held = ~known.is_held, known.is_held
    features, classes = known.features[train], known.classes[train]
    folds = np.random.default_rng(0).permutation(len(features)) % NUM_FOLDS
    logits = np.empty((len(features), int(known.classes.max()) + 1))
    for fold in range(NUM_FOLDS):
        rest = folds != fold
        logits[~rest] = probe(features[rest], classes[rest], features[~rest])
    temperature = fit_temperature(logits, classes)
    asked, truth = probe(features, classes, known.features[held]), known.classes[held]
    plain, cooled = (
        special.softmax(apply_temperature(asked, value), axis=1) for value in (1.0, temperature)
    )
    chosen = special.softmax(apply_temperature(logits, temperature), axis=1)
    is_right = cooled.argmax(axis=1) == truth
    before, after = (
        measure_reliability(each.max(axis=1), is_right).error for each in (plain, cooled)
    )
    threshold = choose_threshold(chosen.max(axis=1), chosen.argmax(axis=1) == classes, ANSWER_ERROR)
    told = measure_abstention(
        cooled.max(axis=1), is_right, np.inf if threshold is None else threshold
    )
    sets = make_conformal_sets(cooled, fit_conformal(chosen, classes, SET_ERROR))
    covered = sets[np.arange(len(truth)), truth]
    return (
        name,
        str(len(truth)),
        f"{is_right.mean():.3f}",
        f"{temperature:.2f}",
        f"{before:.3f}",
        f"{after:.3f}",
        "none" if told.error is None else f"{told.error:.3f} {format_interval(told.interval)}",
        f"{told.coverage:.2f}",
        f"{covered.mean():.3f} {format_interval(wilson_interval(covered.sum(), len(covered)))}",
        f"{sets.sum(axis=1).mean():.2f}",
    )


def judge_familiarity(
    known: dict[str, Known], sources: dict[str, np.ndarray]
) -> Iterator[tuple[str, ...]]:
    """The rows of the second table."""
    for name, each in known.items():
        known_to = each.features[~each.is_held]
        familiarity = fit_familiarity(known_to, each.classes[~each.is_held])
        held = each.features[each.is_held]
        cells = []
        for other, features in sources.items():
            areas = (
                measure_unfamiliar(distance(held), distance(features))[0]
                for distance in (familiarity.mahalanobis, partial(neighbour_distance, known_to))
            )
            cells.append("" if other == name else ", ".join(f"{area:.3f}" for area in areas))
        yield (name, *cells)


def probe(features: np.ndarray, classes: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Logits of the head that is solved on some features, for others."""
    loss = find_task("class").linear
    targets = np.eye(int(classes.max()) + 1, dtype=np.float32)[classes]
    solution = solve_linear(features, LinearTargets(targets), loss)
    logits: np.ndarray = asked @ solution.kernel + solution.bias
    return logits


def read_labelled(shared: Path, folder: str, most: int) -> Known:
    """A set of class folders; a third of the pictures is the holdout."""
    paths = find_pictures(shared / folder, most)
    names = sorted({path.parent.name for path in paths})
    classes = np.array([names.index(path.parent.name) for path in paths])
    return Known(extract(shared, paths), classes, np.arange(len(paths)) % 3 == 0)


def find_pictures(folder: Path, most: int) -> list[Path]:
    """Some pictures of a folder, in a seeded order."""
    endings = (".jpg", ".jpeg", ".png")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings)
    chosen = np.random.default_rng(0).permutation(len(paths))[:most]
    return [paths[place] for place in chosen]


def extract(shared: Path, paths: Sequence[Path]) -> np.ndarray:
    """Feature vectors (pictures, features)."""
    import keras
    from PIL import Image

    model = keras.applications.MobileNetV2(
        (SIZE, SIZE, 3), 0.35, include_top=False, weights=None, pooling="avg"
    )
    model.load_weights(shared / "weights" / WEIGHTS)
    blocks = []
    for start in range(0, len(paths), 64):
        pixels = []
        for path in paths[start : start + 64]:
            with Image.open(path) as picture:
                picture.draft("RGB", (SIZE, SIZE))
                pixels.append(np.asarray(picture.convert("RGB").resize((SIZE, SIZE))))
        blocks.append(model.predict_on_batch(np.stack(pixels).astype(np.float32) / 127.5 - 1))
    return np.concatenate(blocks)


def format_interval(ends: tuple[float, float] | None) -> str:
    """The interval in brackets."""
    return "" if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


if __name__ == "__main__":
    main()
