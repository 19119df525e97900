"""Examples -> tf.data: order and pixels are pure functions of (seed, epoch, example)."""

from __future__ import annotations

import tensorflow as tf

from kft.data.augmentation import Augmentation
from kft.data.pixels import Decoder, ExampleCache, read_pixels
from kft.data.splits import Examples


def num_steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Batches of one epoch; the last may be smaller."""
    return -(-num_examples // batch_size)


def make_dataset(
    examples: Examples,
    decoder: Decoder,
    *,
    batch_size: int,
    cache: ExampleCache | None = None,
    shuffle_seed: int | None = None,
    epochs: int = 1,
    start_step: int = 0,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Batches (float32 pixels (batch, height, width, 3) in [0, 255], targets) of all epochs.

    Each epoch is a full permutation that depends on (shuffle_seed, epoch)
    alone, and ends with a smaller batch where the size does not divide it.
    Started at a later step the data set yields what it would have yielded
    from there, and neither reads nor decodes what lies before.

    Args:
        examples: What to read, at least one.
        decoder: Encoded bytes -> uint8 pixels.
        batch_size: Examples of a batch.
        cache: Their decoded pixels (`make_pixel_cache`); None to read files.
        shuffle_seed: Seed of the order; None keeps the order of `examples`.
        epochs: How often each example comes.
        start_step: Batches to skip, counted over all epochs.
        augmentation: Random changes, one seed per example and epoch.
        seed: Seed of the augmentation.
    """
    assert len(examples) > 0
    steps = num_steps_per_epoch(len(examples), batch_size)
    order = tf.data.Dataset.range(start_step, epochs * steps).map(
        lambda step: _locate(step, len(examples), batch_size, shuffle_seed),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    paths = tf.constant(examples.paths)
    targets = tf.constant(examples.targets)

    def load(epoch: tf.Tensor, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if cache is not None:
            pixels = cache.gather(indices)
        else:
            pixels = read_pixels(tf.gather(paths, indices), decoder)
        if augmentation is not None:
            pixels = augmentation(pixels, example_seeds(seed, epoch, indices))
        return tf.cast(pixels, tf.float32), tf.gather(targets, indices)

    return order.map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(
        tf.data.AUTOTUNE
    )


def _locate(
    step: tf.Tensor, num_examples: int, batch_size: int, shuffle_seed: int | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Epoch of a step, and the indices of its examples."""
    steps = num_steps_per_epoch(num_examples, batch_size)
    epoch, first = step // steps, (step % steps) * batch_size
    indices = tf.range(first, tf.minimum(first + batch_size, num_examples))
    if shuffle_seed is not None:
        key = tf.stack([tf.cast(shuffle_seed, tf.int64), epoch])
        indices = tf.random.experimental.index_shuffle(indices, key, num_examples - 1)
    return epoch, indices


def example_seeds(seed: int, epoch: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """A stateless seed for each example of a batch: int32 (batch, 2)."""
    fold_in = tf.random.experimental.stateless_fold_in
    run = fold_in(tf.constant([seed, 0], tf.int32), tf.cast(epoch, tf.int32))
    return tf.map_fn(
        lambda index: fold_in(run, index),
        tf.cast(indices, tf.int32),
        fn_output_signature=tf.TensorSpec((2,), tf.int32),
    )
