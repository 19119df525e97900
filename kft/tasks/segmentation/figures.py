"""Figures of segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from kft.figures import format_share
from kft.printing import printable
from kft.statistics import bootstrap_intervals, describe_ends
from kft.tasks.figures import (
    ANSWERS,
    INTERVALS,
    Figures,
    Lead,
    Table,
    count_examples,
    find_interval,
    name_unjudged,
    none_if_nan,
)
from kft.tasks.segmentation.counts import PixelCounts
from kft.tasks.segmentation.shares import find_largest

_OVERALL = ("mean_iou", "pixel_accuracy", "boundary_f")


class MaskFigures(Figures):
    """Figures of masks, from counts of pixels at the size of the model's input.

    Outputs are the rows of `count_pixels`, and targets are numbers of pixels or
    masks, which no figure reads.
    """

    names_key: ClassVar[str] = "mask_classes"

    def example_losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the mean cross-entropy over the labelled pixels of each example."""
        return PixelCounts.unpack(outputs).losses

    def accuracy(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Compute the share of right pixels."""
        counts = PixelCounts.unpack(outputs)
        right = np.trace(counts.confusion, axis1=1, axis2=2).sum()
        return float(right / max(counts.labelled.sum(), 1))

    def compute(
        self,
        targets: np.ndarray,
        outputs: np.ndarray,
        names: Sequence[str],
        train_targets: np.ndarray,
        groups: np.ndarray | None = None,
    ) -> dict[str, Any]:
        """Compute the figures; the baseline answers the most frequent class of training."""
        counts = PixelCounts.unpack(outputs)
        num_classes = len(names)

        def compute(weights: np.ndarray) -> np.ndarray:
            return _compute(counts, weights)

        values = compute(np.ones((len(outputs), 1)))[:, 0]
        ends = bootstrap_intervals(compute, len(outputs), groups)
        support = counts.confusion.sum(axis=(0, 2))
        shares = [
            each.sum(axis=0) / max(support.sum(), 1)
            for each in (counts.confusion.sum(axis=2), counts.confusion.sum(axis=1))
        ]
        most_frequent = int(train_targets.sum(axis=0).argmax())
        return {
            "examples": len(outputs),
            **{name: none_if_nan(each) for name, each in zip(_OVERALL, values[:3], strict=True)},
            "most_frequent": names[most_frequent],
            **_find_baseline(counts, most_frequent),
            self.names_key: {
                name: {
                    "iou": none_if_nan(values[3 + i]),
                    "share": float(shares[0][i]),
                    "answered_share": float(shares[1][i]),
                    "examples": int((counts.confusion[:, i].sum(axis=1) > 0).sum()),
                }
                for i, name in enumerate(names)
            },
            **name_unjudged(names, support),
            INTERVALS: {
                **{name: describe_ends(ends[i]) for i, name in enumerate(_OVERALL)},
                self.names_key: {
                    names[i]: {"iou": describe_ends(ends[3 + i])} for i in range(num_classes)
                },
            },
        }

    def headline(self, figures: Mapping[str, Any]) -> str:
        """Format mean IoU beside its baseline, with the accuracy of pixels."""
        interval = find_interval(figures, "mean_iou")
        ends = "" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"
        baseline = format_share(figures["baseline_mean_iou"])
        return (
            f"mean IoU {format_share(figures['mean_iou'])}{ends} "
            f"({self.lead(figures).baseline_name}: {baseline}), pixel accuracy "
            f"{format_share(figures['pixel_accuracy'])}, {count_examples(figures)}"
        )

    def lead(self, figures: Mapping[str, Any]) -> Lead:
        """Find the mean IoU."""
        return Lead(
            "mean IoU",
            figures["mean_iou"] or 0.0,
            find_interval(figures, "mean_iou"),
            f"answering '{printable(figures['most_frequent'])}' everywhere",
            figures["baseline_mean_iou"],
        )

    def tabulate(
        self,
        names: Sequence[str],
        files: Sequence[str],
        targets: np.ndarray,
        outputs: np.ndarray,
    ) -> dict[str, Table]:
        """Make predictions.csv with the share of each class, and confusion.csv in pixels.

        answers.npz has the counts of each example as an array.
        """
        counts = PixelCounts.unpack(outputs)
        return {
            "predictions.csv": _list_rows(names, files, counts),
            "confusion.csv": _list_confusion(names, counts.confusion.sum(axis=0)),
            ANSWERS: {"files": np.array(files), "targets": targets, "outputs": outputs},
        }

    def list_values(self, output: np.ndarray, names: Sequence[str]) -> dict[str, float]:
        """List the largest shares of classes in one answer."""
        return find_largest(PixelCounts.unpack(output[np.newaxis]).answered_shares[0], names)


def _compute(counts: PixelCounts, weights: np.ndarray) -> np.ndarray:
    """Mean IoU, accuracy, boundary F, then the IoU of each class (figures, resamples)."""
    num_examples, num_classes, _ = counts.confusion.shape
    confusion = counts.confusion.reshape(num_examples, -1).T @ weights
    confusion = confusion.reshape(num_classes, num_classes, -1)
    right = np.einsum("iik->ik", confusion)
    true, answered = confusion.sum(axis=1), confusion.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        # A class that the examples do not show has no figure, even if it is answered somewhere.
        ious = np.where(true > 0, right / (true + answered - right), np.nan)
        judged = ~np.isnan(ious)
        mean = np.where(judged, ious, 0.0).sum(axis=0) / judged.sum(axis=0)
        accuracy = right.sum(axis=0) / true.sum(axis=0)
        near_true, answers, near_answers, trues = counts.boundaries.T @ weights
        precision, recall = near_true / answers, near_answers / trues
        boundary = np.where(
            near_true + near_answers > 0, 2 * precision * recall / (precision + recall), 0.0
        )
        boundary = np.where(answers + trues > 0, boundary, np.nan)
    return np.concatenate([np.stack([mean, accuracy, boundary]), ious])


def _find_baseline(counts: PixelCounts, most_frequent: int) -> dict[str, float]:
    true = counts.confusion.sum(axis=(0, 2))
    share = float(true[most_frequent] / max(true.sum(), 1))
    num_judged = max(int((true > 0).sum()), 1)
    return {
        "baseline_mean_iou": share / num_judged,
        "baseline_pixel_accuracy": share,
    }


def _list_rows(
    names: Sequence[str], files: Sequence[str], counts: PixelCounts
) -> Iterator[list[str]]:
    kinds = ("true", "predicted")
    yield [
        "file",
        *(f"{kind} {name}" for kind in kinds for name in names),
        "pixel accuracy",
        "loss",
    ]
    rows = zip(
        *(files, counts.true_shares, counts.answered_shares, counts.accuracies, counts.losses),
        strict=True,
    )
    for file, true, answered, accuracy, loss in rows:
        yield [file, *(f"{each:.9g}" for each in (*true, *answered, accuracy, loss))]


def _list_confusion(names: Sequence[str], confusion: np.ndarray) -> Iterator[list[str]]:
    yield ["true", *(f"predicted {name}" for name in names)]
    for name, row in zip(names, confusion, strict=True):
        yield [name, *(str(int(each)) for each in row)]
