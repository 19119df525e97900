"""Training examples with the augmented views that training uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from kft.data.batches.pipeline import example_seeds
from kft.data.batches.reading import make_reader, pair_decoder, translate_read_errors
from kft.modalities.model_input import Augmentation, Decoder
from kft.modalities.showing import ViewRow

if TYPE_CHECKING:
    from kft.examples import Splits


def make_view_rows(
    splits: Splits,
    decoder: Decoder,
    augmentation: Augmentation,
    *,
    num_examples: int,
    num_views: int,
    seed: int,
) -> list[ViewRow]:
    """Make rows of training examples with their views of the first epochs of training.

    Args:
        splits: Splits with the training examples.
        decoder: Decoder at the input size of training.
        augmentation: Augmentation that makes the views.
        num_examples: Number of examples, taken from the classes in turn.
        num_views: Number of views per example.
        seed: Seed of training.

    Raises:
        DataError: An example does not decode.
    """
    train = splits.train
    decoder = pair_decoder(decoder, splits.task, train)
    indices = _choose(train.targets, num_examples)
    with translate_read_errors(train.take(indices), decoder):
        decoded = make_reader(train, decoder)(tf.constant(indices))
    change = tf.function(augmentation, autograph=False)
    views = [
        change(decoded, example_seeds(seed, view, tf.constant(indices)))
        for view in range(num_views)
    ]
    shown = [
        {name: tf.cast(each, tf.float32).numpy() for name, each in view.items()}
        for view in (decoded, *views)
    ]
    return [
        ViewRow(
            title=splits.task.summarise(train.targets[index], splits.class_names),
            text=train.ids[index],
            views=tuple({name: each[row] for name, each in view.items()} for view in shown),
        )
        for row, index in enumerate(indices)
    ]


def _choose(targets: np.ndarray, count: int) -> list[int]:
    """Choose up to `count` examples: the first of each class, then the second of each, …"""
    if targets.ndim != 1 or not np.issubdtype(targets.dtype, np.integer):
        return np.linspace(0, len(targets) - 1, min(count, len(targets))).astype(int).tolist()
    ranks = np.empty(len(targets), np.int64)
    for index in np.unique(targets):
        members = np.flatnonzero(targets == index)
        ranks[members] = np.arange(len(members))
    return sorted(np.lexsort((targets, ranks))[:count].tolist(), key=lambda i: (targets[i], i))
