"""Matches of answered boxes with true ones, by the rules of COCO.

Source: Lin et al., Microsoft COCO, arXiv:1405.0312; the rules are those of its evaluation program,
whose figures these equal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Overlaps from which an answer is right."""
SIZES = {"small": (0.0, 0.05), "medium": (0.05, 0.15), "large": (0.15, 1e5)}
"""Square root of a box's area, as a share of that of its example: COCO's 32 and 96 pixels in a
picture of 640 x 640."""
ALL = "all"
RANGES = {ALL: (0.0, 1e5), **SIZES}
_LIMITS = np.array(list(RANGES.values())) ** 2


@dataclass(frozen=True)
class Matches:
    """Answers of one class to all examples, surest first.

    Attributes:
        examples: Index of the example of each answer, int64 (answers,).
        scores: Score of each answer (answers,).
        is_right: Whether it matches a true box, bool (ranges, thresholds, answers).
        is_ignored: Whether it does not count, since its box or its match is of another size, bool
            (ranges, thresholds, answers).
        support: Number of true boxes of each example (ranges, examples).
    """

    examples: np.ndarray
    scores: np.ndarray
    is_right: np.ndarray
    is_ignored: np.ndarray
    support: np.ndarray


def match_classes(targets: np.ndarray, outputs: np.ndarray, num_names: int) -> list[Matches]:
    """Match the answers of each class.

    Args:
        targets: Class and sides of the true boxes (examples, boxes, 5); -1 for padding.
        outputs: Class, sides and score of the answers (examples, answers, 6); -1 for padding.
        num_names: Number of classes.
    """
    return [_match_class(targets, outputs, code) for code in range(num_names)]


def _match_class(targets: np.ndarray, outputs: np.ndarray, code: int) -> Matches:
    shape = (len(RANGES), len(THRESHOLDS), 0)
    examples, scores = [np.empty(0, np.int64)], [np.empty(0)]
    right, ignored = [np.empty(shape, bool)], [np.empty(shape, bool)]
    support = np.zeros((len(RANGES), len(targets)))
    for place, (truth, answers) in enumerate(zip(targets, outputs, strict=True)):
        own = answers[answers[:, 0] == code]
        own = own[np.argsort(-own[:, 5], kind="stable")].astype(np.float64)
        boxes = truth[truth[:, 0] == code][:, 1:].astype(np.float64)
        if not len(own) and not len(boxes):
            continue
        is_right, is_ignored, support[:, place] = match_boxes(boxes, own[:, 1:5])
        examples.append(np.full(len(own), place))
        scores.append(own[:, 5])
        right.append(is_right)
        ignored.append(is_ignored)
    joined = np.concatenate(scores)
    order = np.argsort(-joined, kind="stable")
    return Matches(
        np.concatenate(examples)[order],
        joined[order],
        np.concatenate(right, axis=-1)[..., order],
        np.concatenate(ignored, axis=-1)[..., order],
        support,
    )


def match_boxes(
    truth: np.ndarray, answers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match the answers of one class to one example, each with at most one true box.

    In their order, answers take the free true box that they overlap most; one that is ignored, as
    it is of another size, only if no other is left.

    Args:
        truth: Sides of the true boxes (boxes, 4).
        answers: Sides of the answers (answers, 4), surest first.

    Returns:
        Whether answers are right, and whether they are ignored, bool (ranges, thresholds, answers);
        and the number of true boxes that are not ignored (ranges,).
    """
    fits = find_overlaps(answers, truth)
    is_other = _is_other_size(truth)
    is_free = np.ones((len(RANGES), len(THRESHOLDS), len(truth)), bool)
    is_right = np.zeros((len(RANGES), len(THRESHOLDS), len(answers)), bool)
    is_ignored = np.broadcast_to(_is_other_size(answers)[:, np.newaxis], is_right.shape).copy()
    least = np.minimum(THRESHOLDS, 1 - 1e-10)[:, np.newaxis]
    for place in np.flatnonzero(fits.max(axis=1, initial=0.0) >= THRESHOLDS[0]):
        fitting = np.where(is_free & (fits[place] >= least), fits[place], -1.0)
        # Boxes of the wanted size come first.
        ranked = np.where(is_other[:, np.newaxis], fitting, fitting + 2 * (fitting >= 0))
        # Of equal ones the last is taken.
        best = ranked.shape[-1] - 1 - ranked[..., ::-1].argmax(axis=-1)
        found = np.nonzero(np.take_along_axis(ranked, best[..., np.newaxis], -1)[..., 0] >= 0)
        taken = best[found]
        is_free[(*found, taken)] = False
        is_right[(*found, np.full(len(taken), place))] = True
        is_ignored[(*found, np.full(len(taken), place))] = is_other[found[0], taken]
    return is_right, is_ignored, (~is_other).sum(axis=1)


def find_overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of each box with each other one.

    Args:
        boxes: Sides (boxes, 4).
        others: Sides (others, 4).
    """
    one, other = boxes[:, np.newaxis], others[np.newaxis]
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    common = np.clip(sides, 0, None).prod(axis=-1)
    union = find_areas(boxes)[:, np.newaxis] + find_areas(others) - common
    fits: np.ndarray = common / np.where(union > 0, union, 1.0)
    return fits


def find_areas(boxes: np.ndarray) -> np.ndarray:
    """Compute the areas of boxes (…, 4)."""
    areas: np.ndarray = (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return areas


def _is_other_size(boxes: np.ndarray) -> np.ndarray:
    """Tell which boxes are outside of each range of sizes, bool (ranges, boxes)."""
    areas = find_areas(boxes)
    is_other: np.ndarray = (areas < _LIMITS[:, :1]) | (areas > _LIMITS[:, 1:])
    return is_other
