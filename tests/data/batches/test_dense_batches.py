"""Batches whose targets are masks or boxes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kft.data.batches.decoded import make_decoded_cache
from kft.data.batches.example_cache import ExampleCache
from kft.data.batches.pipeline import make_dataset, make_target_reader, make_view_dataset
from kft.data.batches.reading import find_unreadable, pair_decoder, refuse_changed
from kft.data.batches.shares import Share
from kft.errors import DataError
from kft.examples import Examples, Files
from kft.modalities import load_modality
from kft.modalities.image.decoding import ImageDecoder
from kft.tasks import ABSENT, BOXES, MASK
from kft.tasks.classification.task import Classification
from kft.tasks.segmentation.task import Segmentation

COUNT, SIDE, VIEWS = 5, 16, 3
PLAIN = ImageDecoder(SIDE, SIDE)


class BoxTask(Classification):
    """A task whose targets are boxes."""

    companion = BOXES


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dense")
    random = np.random.default_rng(0)
    for i in range(COUNT):
        Image.fromarray(random.integers(0, 256, (20, 24, 3), np.uint8)).save(folder / f"{i}.png")
        mask = random.integers(0, 3, (20, 24), np.uint8)
        Image.fromarray(mask).save(folder / f"{i}.mask.png")
    return folder


def stamped(paths) -> Files:
    stats = [path.stat() for path in paths]
    return Files(tuple(map(str, paths)), tuple((each.st_size, each.st_mtime_ns) for each in stats))


def with_masks(folder: Path) -> Examples:
    return Examples(
        tuple(f"{i}.png" for i in range(COUNT)),
        stamped([folder / f"{i}.png" for i in range(COUNT)]),
        np.zeros((COUNT, 3), np.int64),
        target_files=stamped([folder / f"{i}.mask.png" for i in range(COUNT)]),
    )


def with_boxes(folder: Path) -> Examples:
    boxes = np.array([[1, 0.2, 0.1, 0.9, 0.8], [ABSENT, 0, 0, 0, 0]], np.float32)
    masks = with_masks(folder)
    return Examples(masks.ids, masks.inputs, np.tile(boxes, (COUNT, 1, 1)))


KINDS = {MASK: (Segmentation(), with_masks), BOXES: (BoxTask(), with_boxes)}


@pytest.fixture(params=list(KINDS))
def given(request, folder):
    task, make = KINDS[request.param]
    examples = make(folder)
    return examples, pair_decoder(PLAIN, task, examples), request.param


def collect(dataset) -> list[np.ndarray]:
    return [targets for _, targets, *_ in dataset.as_numpy_iterator()]


def test_targets_come_beside_the_inputs_in_their_order(given, folder):
    examples, decoder, kind = given
    inputs, targets = next(iter(make_dataset(examples, decoder, batch_size=COUNT)))
    assert set(inputs) == {"pixels"}
    assert inputs["pixels"].dtype == tf.float32
    assert targets.dtype == (tf.uint8 if kind == MASK else tf.float32)
    shuffled = make_dataset(examples, decoder, batch_size=COUNT, shuffle_seed=1)
    for pixels, target in zip(*(each.numpy() for each in (inputs["pixels"], targets)), strict=True):
        other_inputs, other_targets = next(iter(shuffled))
        (place,) = np.flatnonzero((other_inputs["pixels"].numpy() == pixels).all(axis=(1, 2, 3)))
        assert np.array_equal(other_targets.numpy()[place], target)


@pytest.mark.parametrize("preset", ["none", "medium"])
@pytest.mark.parametrize("is_cached", [False, True])
def test_targets_beside_stored_activations_are_those_of_the_views(given, preset, is_cached):
    examples, decoder, _ = given
    augmentation = load_modality("image").make_augmentation(preset)
    options = {"batch_size": 2, "shuffle_seed": 4, "epochs": 2 * VIEWS, "seed": 7}
    shown = collect(
        make_dataset(examples, decoder, augmentation=augmentation, **options | {"epochs": VIEWS})
    )
    cache = None
    if is_cached:
        given_cache = {"megabytes": 10.0, "content_key": "0", "limit_gigabytes": 1.0}
        cache = make_decoded_cache(examples, decoder, mode="memory", **given_cache)
    activations = ExampleCache({"stage1": np.zeros((VIEWS, COUNT, 4), np.float32)})
    find = make_target_reader(
        examples, decoder, num_views=VIEWS, cache=cache, augmentation=augmentation, seed=7
    )
    stored = collect(
        make_dataset(examples, decoder, cache=activations, find_targets=find, **options)
    )
    assert all(np.array_equal(*pair) for pair in zip(shown, stored, strict=False))
    if preset == "none":
        return
    # The order of an epoch is its own, so the views are compared by their contents.
    steps = len(stored) // (2 * VIEWS)
    epochs = [np.concatenate(stored[i * steps : (i + 1) * steps]) for i in range(2 * VIEWS)]
    contents = [sorted(each.tobytes() for each in epoch) for epoch in epochs]
    assert contents[0] == contents[VIEWS] != contents[1]


def test_views_for_a_store_hold_no_targets(given):
    examples, decoder, _ = given
    (batch,) = make_view_dataset(examples, decoder, view=0, batch_size=COUNT)
    assert set(batch) == {"pixels"}


def test_replicas_share_dense_targets(given):
    examples, decoder, _ = given
    whole = np.concatenate(collect(make_dataset(examples, decoder, batch_size=4)))
    share = Share(2, 0, 2)
    parts = collect(make_dataset(examples, decoder, batch_size=4, share=share))
    assert np.array_equal(np.concatenate(parts)[:4], whole[:4])


def test_other_tasks_read_inputs_alone(folder):
    examples = with_masks(folder)
    assert pair_decoder(PLAIN, Classification(), examples) is PLAIN


def test_a_mask_that_changed_or_broke_is_named(folder, tmp_path):
    examples = with_masks(folder)
    path = tmp_path / "0.mask.png"
    path.write_bytes(b"not a mask")
    files = Files((str(path), *examples.target_files.paths[1:]), examples.target_files.stamps)
    broken = Examples(examples.ids, examples.inputs, examples.targets, target_files=files)
    with pytest.raises(DataError, match="changed since they were checked") as refused:
        refuse_changed(broken)
    assert str(path) in str(refused.value)
    unstamped = Examples(
        examples.ids, examples.inputs, examples.targets, target_files=Files(files.paths)
    )
    decoder = pair_decoder(PLAIN, Segmentation(), unstamped)
    ((name, _),) = find_unreadable(unstamped, decoder)
    assert name == f"{examples.inputs.paths[0]} with {path}"
