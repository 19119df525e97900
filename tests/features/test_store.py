"""Activations are computed once, and never taken for others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from kft.features import find_cut, load_or_extract
from kft.model import HEAD

NUM_EXAMPLES = 7
PIXELS = np.random.default_rng(0).uniform(0, 255, (NUM_EXAMPLES, 32, 32, 3)).astype(np.float32)


class Source:
    """Batches of pixels that count how many were asked for."""

    def __init__(self, *, fail_at: int | None = None) -> None:
        self.given = 0
        self._fail_at = fail_at

    def __iter__(self):
        for first in range(0, NUM_EXAMPLES, 3):
            if first == self._fail_at:
                raise KeyboardInterrupt
            self.given += 1
            yield tf.constant(PIXELS[first : first + 3])


@pytest.fixture
def cut(tiny_assembled):
    return find_cut(tiny_assembled, [HEAD])


def store(cut, pixels, *, content_key="pictures", num_examples=NUM_EXAMPLES, progress=None):
    return load_or_extract(
        cut,
        pixels,
        content_key=content_key,
        num_examples=num_examples,
        progress=progress or (lambda done, total: None),
    )


def entries(caches) -> list[str]:
    return sorted(path.name for path in (caches / "features").iterdir())


def test_activations_are_those_of_the_prefix_in_the_order_of_the_examples(cut):
    stored = store(cut, Source())
    expected = np.asarray(cut.prefix(PIXELS))
    assert stored.activations.shape == (NUM_EXAMPLES, 32)
    assert stored.activations.dtype == np.float32
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert np.allclose(stored.activations, expected, atol=1e-5)
    assert not stored.was_cached


def test_a_feature_map_inside_the_backbone_is_stored_too(tiny_assembled):
    cut = find_cut(tiny_assembled, ["stage4", HEAD])
    stored = store(cut, tf.data.Dataset.from_tensor_slices(PIXELS).batch(3))
    assert stored.activations.shape == (NUM_EXAMPLES, 8, 8, 16)
    assert np.allclose(stored.activations, np.asarray(cut.prefix(PIXELS)), atol=1e-5)


def test_a_second_call_reads_the_disk_and_computes_nothing(cut, caches):
    first = store(cut, Source())
    source, told = Source(), []
    second = store(cut, source, progress=lambda done, total: told.append((done, total)))
    assert second.was_cached
    assert source.given == 0
    assert isinstance(second.activations, np.memmap)
    assert np.array_equal(first.activations, second.activations)
    assert told == [(NUM_EXAMPLES, NUM_EXAMPLES)]
    assert len(entries(caches)) == 1


def test_progress_counts_examples(cut):
    told = []
    store(cut, Source(), progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 7), (6, 7), (7, 7)]


def test_other_weights_before_the_cut_make_another_entry(cut, caches, tiny_assembled):
    first = store(cut, Source())
    variable = tiny_assembled.blocks["stem"].variables[0]
    variable.assign(variable.numpy() * 1.5)
    second = store(cut, Source())
    assert not second.was_cached
    assert len(entries(caches)) == 2
    assert not np.array_equal(first.activations, second.activations)


def test_a_batch_statistic_is_a_weight_in_this(cut, caches, tiny_assembled):
    store(cut, Source())
    (mean,) = (v for v in tiny_assembled.blocks["stem"].variables if "moving_mean" in v.path)
    mean.assign(mean.numpy() + 0.5)
    assert not store(cut, Source()).was_cached


def test_weights_behind_the_cut_do_not_matter(cut, tiny_assembled):
    store(cut, Source())
    kernel = tiny_assembled.model.get_layer("logits").kernel
    kernel.assign(kernel.numpy() + 1)
    assert store(cut, Source()).was_cached


def test_other_contents_make_another_entry(cut, caches):
    store(cut, Source(), content_key="pictures")
    assert not store(cut, Source(), content_key="other pictures").was_cached
    assert len(entries(caches)) == 2


def test_another_cut_of_one_model_makes_another_entry(cut, tiny_assembled, caches):
    store(cut, Source())
    assert not store(find_cut(tiny_assembled, ["stage4"]), Source()).was_cached
    assert not store(replace(cut, name="other"), Source()).was_cached
    assert len(entries(caches)) == 3


def test_the_same_model_built_again_finds_the_entry(cut, assemble_tiny):
    store(cut, Source())
    again = find_cut(assemble_tiny(), [HEAD])
    assert store(again, Source()).was_cached


def test_an_interrupted_extraction_leaves_nothing_and_the_next_one_starts_anew(cut, caches):
    with pytest.raises(KeyboardInterrupt):
        store(cut, Source(fail_at=6))
    assert entries(caches) == []
    stored = store(cut, Source())
    assert not stored.was_cached
    assert np.allclose(stored.activations, np.asarray(cut.prefix(PIXELS)), atol=1e-5)


def test_no_temporary_folder_stays(cut, caches):
    store(cut, Source())
    (entry,) = entries(caches)
    assert ".partial" not in entry
    assert {path.name for path in (caches / "features" / entry).iterdir()} == {
        "activations.npy",
        "entry.json",
    }


def test_an_entry_that_another_process_finished_meanwhile_is_taken(cut, caches):
    """The other process ends while this one computes."""
    raced = []

    class Race(Source):
        def __iter__(self):
            if not raced:
                raced.append(store(cut, Source()))
            yield from super().__iter__()

    stored = store(cut, Race())
    assert raced
    assert np.array_equal(stored.activations, raced[0].activations)
    assert len(entries(caches)) == 1


def test_a_damaged_entry_is_computed_anew(cut, caches):
    first = store(cut, Source())
    expected = np.array(first.activations)
    del first
    (entry,) = entries(caches)
    path = caches / "features" / entry / "activations.npy"
    path.write_bytes(path.read_bytes()[:-100])
    assert np.array_equal(store(cut, Source()).activations, expected)
