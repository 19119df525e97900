"""Batches of similar length: still one seed, one order; nothing but padding is cut."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.data.batches.lengths import (
    has_steps,
    may_shorten,
    measure_sizes,
    shorten,
    sort_by_size,
)
from kft.data.batches.order import make_order
from kft.data.batches.pipeline import make_dataset
from kft.examples import Examples, Files, Values
from kft.modalities.text.input_spec import TextSpec


def draw(sizes, epoch, *, batch_size, seed=3, sampling="natural", targets=None):
    targets = np.zeros(len(sizes), int) if targets is None else np.asarray(targets)
    order = make_order(targets, sampling=sampling, shuffle_seed=seed)
    order = sort_by_size(order, np.asarray(sizes), batch_size=batch_size, seed=seed)
    found = [
        order(
            tf.constant(epoch, tf.int64),
            tf.range(start, min(start + batch_size, len(sizes)), dtype=tf.int64),
        )
        for start in range(0, len(sizes), batch_size)
    ]
    return [indices.numpy() for _, indices in found]


@given(st.integers(1, 90), st.integers(1, 9), st.integers(0, 2**31 - 1), st.integers(0, 99))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_an_epoch_is_a_permutation_and_the_same_each_time(count, batch_size, seed, epoch):
    sizes = np.random.default_rng(count).integers(1, 50, count)
    batches = draw(sizes, epoch, batch_size=batch_size, seed=seed)
    assert sorted(np.concatenate(batches)) == list(range(count))
    again = draw(sizes, epoch, batch_size=batch_size, seed=seed)
    assert [each.tolist() for each in batches] == [each.tolist() for each in again]


def test_the_examples_of_a_batch_are_of_similar_size_and_batches_are_mixed():
    sizes = np.random.default_rng(0).integers(1, 1_000, 1_000)
    batches = draw(sizes, 0, batch_size=10)
    spreads = [np.ptp(sizes[batch]) for batch in batches]
    assert np.mean(spreads) < 100
    means = [sizes[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, np.arange(100))[0, 1]) < 0.3
    assert draw(sizes, 1, batch_size=10)[0].tolist() != batches[0].tolist()


def test_balanced_draws_stay_balanced():
    targets = [0] * 30 + [1] * 6
    batches = draw(range(36), 0, batch_size=4, sampling="balanced", targets=targets)
    drawn = np.concatenate(batches)
    assert (np.asarray(targets)[drawn] == 1).sum() == 18


def test_a_batch_ends_behind_its_longest_sequence_at_a_multiple_of_8():
    mask = tf.sequence_mask([3, 9], 24, tf.int32)
    inputs = {
        "padding_mask": mask,
        "token_ids": tf.ones((2, 24), tf.int32),
        "is_token": tf.cast(mask, tf.bool),
        "states": tf.ones((2, 24, 5)),
        "vector": tf.ones((2, 24)),
    }
    widths = {name: int(tf.shape(each)[1]) for name, each in shorten(inputs).items()}
    assert widths == {**dict.fromkeys(inputs, 16), "vector": 24}
    hidden = tf.one_hot([3, 12], 24, dtype=tf.int32)
    assert tf.shape(shorten({"padding_mask": hidden})["padding_mask"])[1] == 16
    spec = TextSpec("hashed_words", ("[PAD]",), buckets=5)
    assert may_shorten(spec, inputs)
    assert not may_shorten(spec, inputs | {"mask_of_attention": tf.ones((2, 1, 24))})
    assert not may_shorten(spec, {"vector": inputs["vector"]})
    assert not may_shorten(replace(spec, tokenizer="module"), inputs)
    assert not has_steps(inputs["vector"], 24) and has_steps(inputs["states"], 24)


@dataclass(frozen=True)
class LettersDecoder:
    """One step per letter, up to 40."""

    @property
    def output(self):
        return {n: tf.TensorSpec((40,), tf.int32) for n in ("token_ids", "padding_mask")}

    def __call__(self, content):
        codes = tf.strings.unicode_decode(content, "UTF-8")[:40]
        missing = [[0, 40 - tf.size(codes)]]
        ids, mask = tf.pad(codes, missing), tf.pad(tf.ones_like(codes), missing)
        return {n: tf.ensure_shape(v, (40,)) for n, v in zip(self.output, (ids, mask), strict=True)}


def test_a_run_that_starts_later_gets_the_same_batches():
    drawn = np.random.default_rng(1)
    contents = tuple(b"x" * int(size) for size in drawn.integers(1, 40, 60))
    examples = Examples(tuple(map(str, range(60))), Values(contents), np.arange(60))

    def make(start: int):
        made = make_dataset(
            examples,
            LettersDecoder(),
            batch_size=8,
            shuffle_seed=5,
            epochs=2,
            start_step=start,
            by_length=True,
        )
        return [(inputs["padding_mask"].numpy(), targets.numpy()) for inputs, targets in made]

    every, rest = make(0), make(11)
    assert len(every) == 16
    for (mask, targets), (same_mask, same_targets) in zip(every[11:], rest, strict=True):
        np.testing.assert_array_equal(mask, same_mask)
        np.testing.assert_array_equal(targets, same_targets)
    for mask, targets in every:
        assert mask.sum(axis=1).tolist() == [len(contents[i]) for i in targets]
        assert mask.shape[1] - mask.sum(axis=1).max() < 8
    assert sum(mask.size for mask, _ in every) < 0.75 * 2 * 60 * 40


def test_sizes_are_bytes_of_values_or_files(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    targets = np.zeros(1, int)
    values = Examples(("a",), Values((b"123",)), targets)
    plain = Examples(("a",), Files((str(tmp_path / "a"),)), targets)
    checked = Examples(("a",), Files((str(tmp_path / "a"),), ((7, 0),)), targets)
    assert [measure_sizes(each).tolist() for each in (values, plain, checked)] == [[3], [5], [7]]
