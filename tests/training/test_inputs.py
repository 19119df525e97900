"""What a phase is fitted on: pixels, or stored activations."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from kft.config import TrainingConfig
from kft.data import Splits, load_splits
from kft.data.decoding import make_decoder
from kft.errors import DataError

BLOCKS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")


def rows(dataset) -> np.ndarray:
    return np.concatenate([inputs for inputs, _ in dataset.as_numpy_iterator()])


def test_a_probe_is_fitted_on_the_features_of_the_very_pictures(
    make_inputs, tiny_assembled, make_phase, splits
):
    inputs = make_inputs(tiny_assembled)
    given = inputs.for_phase(make_phase(steps=2))
    assert given.computed_from == "feature_vector"
    expected = vectors(tiny_assembled, inputs, "validation")
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert np.allclose(rows(given.validation), expected, atol=1e-4)
    train = vectors(tiny_assembled, inputs, "train")
    shuffled = rows(given.train(0))
    assert shuffled.shape == train.shape
    assert np.allclose(np.sort(shuffled, axis=0), np.sort(train, axis=0), atol=1e-4)
    assert not np.allclose(shuffled, train, atol=1e-4)


def vectors(assembled, inputs, split) -> np.ndarray:
    pixels = rows(inputs.in_order(split))
    return np.asarray(assembled.backbone.model(pixels / 127.5 - 1.0)).mean(axis=(1, 2))


@pytest.mark.parametrize(
    ("trainable", "augmentation"), [(BLOCKS, "none"), (("head",), "light"), (BLOCKS, "light")]
)
def test_where_nothing_can_be_stored_the_whole_model_gets_pixels(
    make_inputs, tiny_assembled, make_phase, trainable, augmentation
):
    inputs = make_inputs(tiny_assembled)
    given = inputs.for_phase(make_phase("deep", *trainable, augmentation=augmentation))
    assert given.computed_from == "pixels"
    assert given.model is tiny_assembled.model
    assert given.train(0).element_spec[0].shape.as_list() == [None, 32, 32, 3]


def test_each_picture_is_decoded_once_in_a_run(make_inputs, tiny_assembled, make_phase, display):
    inputs = make_inputs(tiny_assembled)
    for trainable in (("head",), ("stage4", "head"), BLOCKS):
        inputs.for_phase(make_phase("any", *trainable))
    said = display.console.file.getvalue()
    assert said.count("Decoding train: done") == 1
    assert said.count("Decoding validation: done") == 1
    assert said.count("Features of train: done") == 2


def test_a_later_run_takes_the_features_of_an_earlier_one(
    make_inputs, assemble_tiny, make_phase, display
):
    first = rows(make_inputs(assemble_tiny()).for_phase(make_phase()).validation)
    assert "stored by an earlier run" not in display.console.file.getvalue()
    again = rows(make_inputs(assemble_tiny()).for_phase(make_phase()).validation)
    assert np.array_equal(first, again)
    said = display.console.file.getvalue()
    assert said.count("(stored by an earlier run)") == 2


def test_another_way_of_decoding_makes_other_features(
    make_inputs, tiny_assembled, make_phase, data, display
):
    make_inputs(tiny_assembled).for_phase(make_phase())
    padded = make_decoder("image", 32, 32, data.model_copy(update={"resize": "pad"}))
    make_inputs(tiny_assembled, decoder=padded).for_phase(make_phase())
    assert "stored by an earlier run" not in display.console.file.getvalue()


def test_without_a_validation_split_there_is_none_to_judge(
    make_inputs, tiny_assembled, make_phase, splits
):
    bare = Splits(**{**vars(splits), "validation": splits.validation.take([])})
    inputs = make_inputs(tiny_assembled, splits=bare)
    assert inputs.for_phase(make_phase()).validation is None
    assert inputs.for_phase(make_phase("deep", *BLOCKS)).validation is None


def test_the_order_is_that_of_the_seed(make_inputs, tiny_assembled, make_phase):
    def order(seed):
        training = TrainingConfig(seed=seed, global_batch_size=8)
        return rows(make_inputs(tiny_assembled, training=training).for_phase(make_phase()).train(0))

    assert np.array_equal(order(1), order(1))
    assert not np.array_equal(order(1), order(2))


def test_a_picture_that_vanished_is_named(
    make_inputs, tiny_assembled, make_phase, pictures, data, tmp_path
):
    shutil.copytree(pictures, tmp_path / "photos")
    moving = data.model_copy(update={"path": str(tmp_path / "photos"), "cache": "none"})
    found = load_splits(moving)
    gone = Path(found.train.paths[0])
    gone.unlink()
    inputs = make_inputs(tiny_assembled, splits=found, data=moving)
    with pytest.raises(DataError) as caught, inputs.name_unreadable():
        inputs.for_phase(make_phase())
    assert str(gone) in str(caught.value)
    assert f"1 of {len(found.train)} files can no longer be read" in str(caught.value)
