"""Word dropout hides tokens by the seed of each example alone."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kft.data.batches.pipeline import example_seeds
from kft.modalities import load_modality


def test_one_token_in_ten_is_hidden_by_the_examples_own_seed():
    drop = load_modality("text").make_augmentation("word_dropout")
    ids = np.tile(np.arange(1, 41, dtype=np.int32), (50, 1))
    mask = np.tile((np.arange(40) < 30).astype(np.int32), (50, 1))
    decoded = {"token_ids": tf.constant(ids), "padding_mask": tf.constant(mask)}
    seeds = example_seeds(0, 0, tf.range(50))
    changed = drop(decoded, seeds)
    kept = changed["padding_mask"].numpy()
    assert np.array_equal(changed["token_ids"], ids) and kept.dtype == np.int32
    assert (kept <= mask).all() and kept[:, 0].all()
    assert 0.07 < 1 - kept[:, 1:30].mean() < 0.13
    assert len(np.unique(kept, axis=0)) > 40  # Of 29 tokens none is hidden in 5 of 100 texts.
    some = {name: tf.gather(values, [7, 3]) for name, values in decoded.items()}
    again = drop(some, tf.gather(seeds, [7, 3]))["padding_mask"].numpy()
    assert np.array_equal(again, kept[[7, 3]])
