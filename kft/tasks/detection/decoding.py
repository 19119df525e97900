"""From the output of a detector to its answers, in a graph."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from kft.tasks.base import ABSENT
from kft.tasks.detection.points import split_logits

MOST_ANSWERS = 100
"""Largest number of boxes in an answer, as in the figures of COCO."""
# Boxes of one class that overlap more are one object. Source: arXiv:2006.04388.
_MOST_OVERLAP = 0.6
# Answers with a lower score are hardly ever right, and cost time.
_LEAST_SCORE = 0.02


def find_answers(logits: Any) -> Any:
    """Find the answers, without repetitions of an object, surest first.

    Args:
        logits: Output of the model (batch, points, classes + 8).

    Returns:
        Class, left, top, right, bottom and score, float32 (batch, `MOST_ANSWERS`, 6). The sides
        are fractions of the frame, cut at its edge. Where there are fewer answers, the class is
        `ABSENT` and all else 0.
    """
    classes, boxes, _ = split_logits(tf.cast(logits, tf.float32))
    left, top, right, bottom = tf.unstack(tf.clip_by_value(boxes, 0.0, 1.0), axis=-1)
    found = tf.image.combined_non_max_suppression(
        tf.stack([top, left, bottom, right], axis=-1)[:, :, tf.newaxis],
        tf.sigmoid(classes),
        max_output_size_per_class=MOST_ANSWERS,
        max_total_size=MOST_ANSWERS,
        iou_threshold=_MOST_OVERLAP,
        score_threshold=_LEAST_SCORE,
        clip_boxes=False,
    )
    top, left, bottom, right = tf.unstack(found.nmsed_boxes, axis=-1)
    is_answer = tf.sequence_mask(found.valid_detections, MOST_ANSWERS)
    codes = tf.where(is_answer, found.nmsed_classes, ABSENT)
    return tf.stack([codes, left, top, right, bottom, found.nmsed_scores], axis=-1)
