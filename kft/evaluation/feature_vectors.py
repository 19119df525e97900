"""Feature vectors of examples by a trained model."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from kft.data.batches.pipeline import make_dataset
from kft.data.batches.reading import translate_read_errors
from kft.examples import Examples
from kft.features import OUTPUT, Forward
from kft.modalities import Decoder
from kft.tasks.pooling import FEATURE_VECTOR

MOST_VECTORS = 2_000
"""Number of examples that show how features scatter."""


def sample_examples(examples: Examples, count: int = MOST_VECTORS, *, seed: int = 0) -> Examples:
    """Choose some examples at random; all if there are not more.

    Args:
        examples: Examples to choose from.
        count: Number of examples to choose.
        seed: Seed of the choice.
    """
    if len(examples) <= count:
        return examples
    chosen = np.random.default_rng(seed).choice(len(examples), count, replace=False)
    return examples.take(np.sort(chosen))


def compute_vectors(
    model: keras.Model,
    decoder: Decoder,
    examples: Examples,
    *,
    batch_size: int,
    progress: Callable[[int, int], None],
) -> np.ndarray:
    """Compute the feature vectors of examples (examples, features), float32.

    Args:
        model: Trained model from decoded examples to logits.
        decoder: Decoder of the examples.
        examples: The examples.
        batch_size: Number of examples to compute at once.
        progress: Called with the number of examples done and in total.

    Raises:
        DataError: A file cannot be decoded.
    """
    forward = Forward(keras.Model(model.input, model.get_layer(FEATURE_VECTOR).output))
    blocks: list[np.ndarray] = []
    done = 0
    with translate_read_errors(examples, decoder):
        for inputs, _ in make_dataset(examples, decoder, batch_size=batch_size):
            blocks.append(forward(inputs)[OUTPUT].numpy())
            done += len(blocks[-1])
            progress(done, len(examples))
    return np.concatenate(blocks)
