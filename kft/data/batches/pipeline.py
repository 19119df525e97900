"""Examples -> tf.data: order and views are pure functions of (seed, epoch, example)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from kft.data.batches.example_cache import Cache, to_inputs
from kft.data.batches.lengths import measure_sizes, shorten, sort_by_size
from kft.data.batches.mixing import Mixing
from kft.data.batches.order import Sampling, make_order
from kft.data.batches.reading import make_reader, refuse_changed
from kft.data.batches.service import DataService
from kft.data.batches.shares import WHOLE, Share
from kft.examples import Examples, Files
from kft.modalities import Augmentation, Decoder
from kft.modalities.model_input import MovingAugmentation, split_companion, takes_companion

TargetReader = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""Function from times and indices, both (batch), to the targets of a batch."""


def num_steps_per_epoch(num_examples: int, batch_size: int) -> int:
    """Batches of one epoch; the last may be smaller."""
    return -(-num_examples // batch_size)


def make_dataset(
    examples: Examples,
    decoder: Decoder,
    *,
    batch_size: int,
    cache: Cache | None = None,
    shuffle_seed: int | None = None,
    sampling: Sampling = "natural",
    epochs: int = 1,
    start_step: int = 0,
    end_step: int | None = None,
    augmentation: Augmentation | None = None,
    mixing: Mixing | None = None,
    seed: int = 0,
    share: Share = WHOLE,
    service: DataService | None = None,
    by_length: bool = False,
    find_targets: TargetReader | None = None,
) -> tf.data.Dataset:
    """Batches (inputs, targets) of all epochs.

    Inputs are decoded examples (batch, …), or what `cache` holds; numbers are
    float32, but for signed whole ones. The order of an epoch depends on
    (shuffle_seed, epoch) alone; it ends with a smaller batch where the size does
    not divide it. Started at a later step the data set yields what it would have
    yielded from there, and neither reads nor decodes what lies before.

    Args:
        examples: What to read, at least one.
        decoder: Of their files.
        batch_size: Examples of a batch.
        cache: Them decoded (`make_decoded_cache`), or stored activations,
            whose views come in turn; None to read files.
        shuffle_seed: Seed of the order; None keeps the order of `examples`.
        sampling: `balanced` draws each class equally often.
        epochs: How often each example comes, on average with `balanced`.
        start_step: Batches to skip, counted over all epochs.
        end_step: Batch to end before, counted likewise; None for the end of the last epoch.
        augmentation: Random changes of decoded examples, one seed per example and time.
        mixing: Blends the examples of a batch; targets become dense.
        seed: Seed of augmentation and mixing.
        share: Where several replicas compute a batch together, those of this process: then
            each of them gets its own element of the data set for each batch, all of one size
            and with weights: (inputs, targets, weights float32 (batch,)).
        service: Reads, decodes and augments in place of this process, not with a cache: the same
            batches arrive in any order, those of several epochs mixed where one ends.
        by_length: Whether shuffled batches hold sequences of similar length, and all batches end
            where their longest sequence does; needs a padding mask.
        find_targets: Reader of dense targets beside stored activations; see
            `make_target_reader`. By default they are those that the decoder or the cache gives
            with the inputs, or else the rows of `examples.targets`.

    Raises:
        ConfigError: `balanced`, but targets are not classes.
    """
    assert len(examples) > 0
    steps = num_steps_per_epoch(len(examples), batch_size)
    order = make_order(examples.targets, sampling=sampling, shuffle_seed=shuffle_seed)
    if by_length and shuffle_seed is not None:
        sizes = measure_sizes(examples)
        order = sort_by_size(order, sizes, batch_size=batch_size, seed=shuffle_seed)
    read = _make_reader(examples, decoder, cache, is_served=service is not None)
    targets = tf.constant(examples.targets)

    def load(step: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...]]:
        epoch, first = step // steps, (step % steps) * batch_size
        size = tf.minimum(tf.constant(batch_size, tf.int64), len(examples) - first)
        # What is mixed needs the whole batch, whose examples are each other's partners.
        is_cut_late = share.is_whole or mixing is not None
        places = tf.range(size) if is_cut_late else share.find_places(size, batch_size)
        times, indices = order(epoch, first + places)
        inputs = read(times, indices)
        if augmentation is not None:
            inputs = augmentation(inputs, example_seeds(seed, times, indices))
        inputs, moved = split_companion(inputs)
        if find_targets is not None:
            moved = find_targets(times, indices)
        inputs = to_inputs(inputs)
        batch = (
            shorten(inputs) if by_length else inputs,
            tf.gather(targets, indices) if moved is None else moved,
        )
        if mixing is not None:
            batch = mixing(*batch, seed=seed, step=step)
        if share.is_whole:
            return indices, batch
        if is_cut_late:
            own = share.find_places(size, batch_size)
            batch = tf.nest.map_structure(lambda part: tf.gather(part, own), batch)
        weighed = (*batch, share.find_weights(size, batch_size))
        return indices, tf.nest.map_structure(lambda part: share.split(part, batch_size), weighed)

    last = epochs * steps if end_step is None else end_step
    loaded = _map(range(start_step, last), load, examples, service)
    return loaded if share.is_whole else loaded.unbatch()


def make_view_dataset(
    examples: Examples,
    decoder: Decoder,
    *,
    view: int,
    batch_size: int,
    chosen: np.ndarray | None = None,
    cache: Cache | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> tf.data.Dataset:
    """Batches of inputs (batch, …) of every example once, in order.

    They are those that `make_dataset` shows of each example in epoch `view`, so
    that activations of stored views are those that training would have computed.

    Args:
        examples: What to read, at least one.
        decoder: Of their files.
        view: Number of the view, from 0.
        batch_size: Examples of a batch.
        chosen: Places of those that are wanted; None for all.
        cache: All examples decoded; None to read files.
        augmentation: See `make_dataset`.
        seed: See `make_dataset`.
    """
    assert len(examples) > 0
    read = _make_reader(examples, decoder, cache)
    wanted = tf.constant(np.arange(len(examples)) if chosen is None else chosen, tf.int64)

    def load(first: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        indices = wanted[first : first + batch_size]
        times = tf.fill(tf.shape(indices), tf.constant(view, tf.int64))
        inputs = read(times, indices)
        if augmentation is not None:
            inputs = augmentation(inputs, example_seeds(seed, times, indices))
        return indices, to_inputs(split_companion(inputs)[0])

    return _map(range(0, len(wanted), batch_size), load, examples)


def make_target_reader(
    examples: Examples,
    decoder: Decoder,
    *,
    num_views: int,
    cache: Cache | None,
    augmentation: Augmentation | None,
    seed: int,
) -> TargetReader | None:
    """Make a reader of dense targets, moved as the views were whose activations are stored.

    Args:
        examples: What the activations were computed from.
        decoder: Decoder of inputs and targets; of inputs alone there is nothing to read.
        num_views: Number of stored views, which come in turn.
        cache: The examples decoded, with their targets; None to read files.
        augmentation: See `make_dataset`.
        seed: See `make_dataset`.
    """
    if not takes_companion(decoder):
        return None
    assert augmentation is None or isinstance(augmentation, MovingAugmentation)
    read = _make_reader(examples, decoder, cache)

    def find(times: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
        elements = read(times, indices)
        if augmentation is not None:
            seeds = example_seeds(seed, times % num_views, indices)
            elements = augmentation.move_companions(elements, seeds)
        return split_companion(elements)[1]

    return find


def _make_reader(
    examples: Examples,
    decoder: Decoder,
    cache: Cache | None,
    *,
    is_served: bool = False,
) -> Callable[[tf.Tensor, tf.Tensor], Any]:
    """(times, indices), both (batch) -> decoded examples or activations (batch, …)."""
    assert cache is None or not is_served, "what is cached here is not read elsewhere"
    if cache is not None:
        return lambda times, indices: cache.gather(indices, times)
    decode = make_reader(examples, decoder)
    is_checked = isinstance(examples.inputs, Files) and examples.inputs.stamps is not None

    def check(indices: np.ndarray) -> np.ndarray:
        refuse_changed(examples, indices.tolist())
        return np.array([len(indices)], np.int32)

    def read(times: tf.Tensor, indices: tf.Tensor) -> Any:
        decoded = decode(indices)
        # Data workers have no Python of kft's: their files are checked when a batch has arrived.
        if not is_checked or is_served:
            return decoded
        # After they were read: what was read is then what was checked. Not stateful, or tf.data
        # would run batches one after the other; so its result must be of use, or it would not run.
        with tf.control_dependencies(tf.nest.flatten(decoded)):
            count = tf.numpy_function(check, [indices], tf.int32, stateful=False)

        def pass_checked(values: tf.Tensor) -> tf.Tensor:
            shape = values.shape[1:]
            checked = tf.reshape(values, tf.concat([count, shape], axis=0))
            return tf.ensure_shape(checked, (None, *shape))

        return tf.nest.map_structure(pass_checked, decoded)

    return read


def _map(
    steps: range,
    load: Callable[[tf.Tensor], tuple[tf.Tensor, Any]],
    examples: Examples,
    service: DataService | None = None,
) -> tf.data.Dataset:
    """Map each step to the batch that `load` returns beside the indices of its examples."""

    def map_steps(function: Callable[[tf.Tensor], Any]) -> tf.data.Dataset:
        return tf.data.Dataset.range(steps.start, steps.stop, steps.step).map(
            # What it calls is TensorFlow throughout: rewriting Python would take a second in vain.
            tf.autograph.experimental.do_not_convert(function),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )

    if service is None:
        loaded = map_steps(lambda step: load(step)[1])
    else:
        loaded = service.distribute(map_steps(load), check=partial(refuse_changed, examples))
    return loaded.prefetch(tf.data.AUTOTUNE)


def example_seeds(seed: int, times: tf.Tensor | int, indices: tf.Tensor) -> tf.Tensor:
    """A stateless seed for each example of a batch: int32 (batch, 2).

    Args:
        seed: Of the run.
        times: Which time each comes, from 0: the epoch, where it comes once in each.
            One number, or one for each (batch).
        indices: Of the examples (batch).
    """
    fold_in = tf.random.experimental.stateless_fold_in
    times = tf.broadcast_to(tf.cast(times, tf.int32), tf.shape(indices))
    return tf.map_fn(
        lambda pair: fold_in(fold_in(tf.constant([seed, 0], tf.int32), pair[0]), pair[1]),
        (times, tf.cast(indices, tf.int32)),
        fn_output_signature=tf.TensorSpec((2,), tf.int32),
    )
