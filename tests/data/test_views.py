from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kft.config import DataConfig
from kft.data import load_splits
from kft.data.batches.pipeline import make_dataset
from kft.data.views import make_view_rows
from kft.errors import DataError
from kft.modalities import load_modality
from kft.modalities.image.decoding import ImageDecoder
from kft.modalities.showing import ViewRow

DECODER = ImageDecoder(24, 24)


@pytest.fixture
def splits(tmp_path, make_picture_folder):
    folder = make_picture_folder(tmp_path / "photos", per_class=4)
    return load_splits(DataConfig(path=str(folder), validation=0.0, holdout=0.0))


def rows_of(splits, **changes) -> list[ViewRow]:
    given = {"num_examples": 5, "num_views": 2, "seed": 3} | changes
    light = load_modality("image").make_augmentation("light")
    return make_view_rows(splits, DECODER, light, **given)


def test_the_classes_come_in_turn_with_their_files(splits):
    rows = rows_of(splits)
    assert [row.title for row in rows] == ["cat", "cat", "dog", "dog", "owl"]
    assert all(row.text.startswith(row.title) for row in rows)
    assert len({row.text for row in rows}) == 5
    assert len(rows_of(splits, num_examples=99)) == 12


def test_a_view_is_what_training_shows_in_the_epoch_of_its_number(splits):
    epochs = list(
        make_dataset(
            splits.train,
            DECODER,
            batch_size=12,
            epochs=2,
            augmentation=load_modality("image").make_augmentation("light"),
            seed=3,
        ).as_numpy_iterator()
    )
    for row in rows_of(splits):
        index = splits.train.ids.index(row.text)
        original, *views = row.views
        decoded = DECODER(tf.io.read_file(splits.train.inputs.paths[index]))
        assert np.array_equal(original["pixels"], decoded["pixels"])
        for (inputs, _), view in zip(epochs, views, strict=True):
            assert np.abs(inputs["pixels"][index] - view["pixels"]).max() <= 0.5


def test_a_picture_that_does_not_decode_is_named(splits, tmp_path):
    (tmp_path / "photos" / "cat" / "000.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"000\.png"):
        rows_of(splits, num_examples=12)
