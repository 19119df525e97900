"""Boxes that are probably missing or wrong, by the answers of a model that did not learn them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kft.tasks.detection.matching import find_overlaps

# A sure answer where nothing is annotated; an annotated box where nothing is seen.
_SURE = 0.6
_UNSURE = 0.1
_APART = 0.1
_SAME = 0.5


def list_doubts(
    names: Sequence[str], files: Sequence[str], targets: np.ndarray, outputs: np.ndarray
) -> Iterator[list[str]]:
    """List boxes that are probably missing, of another class, or around nothing, by file.

    Args:
        names: Name of each class.
        files: Name of each example.
        targets: True boxes (examples, boxes, 5).
        outputs: Answers about examples that the model did not learn from (examples, answers, 6).
    """
    yield ["file", "doubt", "class", "answered", "left", "top", "right", "bottom", "score"]
    for file, target, output in zip(files, targets, outputs, strict=True):
        truth, answers = target[target[:, 0] >= 0], output[output[:, 0] >= 0]
        fits = find_overlaps(answers[:, 1:5].astype(np.float64), truth[:, 1:].astype(np.float64))
        for answer, own in zip(answers, fits, strict=True):
            if answer[5] >= _SURE and own.max(initial=0.0) < _APART:
                yield [file, "missing", "", names[int(answer[0])], *_format(answer[1:5], answer[5])]
        for box, own in zip(truth, fits.T, strict=True):
            near = answers[own >= _SAME]
            same = near[near[:, 0] == box[0], 5].max(initial=0.0)
            others = near[near[:, 0] != box[0]]
            name = names[int(box[0])]
            if len(others) and others[0, 5] >= _SURE > same:
                other = names[int(others[0, 0])]
                yield [file, "another class", name, other, *_format(box[1:], others[0, 5])]
            elif answers[own >= _APART, 5].max(initial=0.0) < _UNSURE:
                yield [file, "nothing there", name, "", *_format(box[1:], same)]


def _format(sides: np.ndarray, score: float) -> list[str]:
    return [f"{number:.6g}" for number in (*sides.tolist(), float(score))]
