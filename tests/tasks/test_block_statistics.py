"""A layered head reads mean and deviation of each channel at the end of several blocks."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.config import BackboneConfig
from kft.features import find_cut
from kft.model import HEAD, assemble
from kft.tasks.block_statistics import STATISTICS, BlockStatistics
from kft.tasks.classification.head import ClassificationHead

TAPS = ("stem", "stage2")


@pytest.fixture(scope="module")
def layered():
    config = BackboneConfig(name="small_cnn", weights="random", input_size=32, options={"width": 4})
    return assemble(load_backbone(config), ClassificationHead(("a", "b"), taps=TAPS))


@pytest.fixture(scope="module")
def pixels():
    return {"pixels": np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype("float32")}


def test_a_map_becomes_the_mean_and_deviation_of_each_channel():
    features = np.random.default_rng(0).normal(2, 3, (4, 5, 6, 7)).astype(np.float32)
    found = np.asarray(BlockStatistics()(features))
    assert found.shape == (4, 14)
    assert found[:, :7] == pytest.approx(features.mean(axis=(1, 2)), abs=1e-5)
    assert found[:, 7:] == pytest.approx(features.std(axis=(1, 2)), abs=1e-4)
    deviations = np.asarray(BlockStatistics(with_mean=False)(features))
    assert np.array_equal(deviations, found[:, 7:])


def test_padding_does_not_count():
    features = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    mask = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], np.int32)
    found = np.asarray(BlockStatistics()(features, padding_mask=mask))
    assert found[0, :3] == pytest.approx(features[0, :3].mean(axis=0), abs=1e-6)
    assert found[0, 3:] == pytest.approx(features[0, :3].std(axis=0), abs=1e-3)
    assert np.isfinite(found).all()


def test_a_vector_passes_unchanged():
    values = np.ones((2, 3), np.float32)
    assert np.array_equal(BlockStatistics()(values), values)
    layer = BlockStatistics()
    layer(keras.Input((3,)))
    assert layer.list_widths() == [3]


def test_the_gradient_is_finite_where_nothing_varies():
    import tensorflow as tf

    flat = tf.ones((2, 4, 4, 3))
    with tf.GradientTape() as tape:
        tape.watch(flat)
        total = tf.reduce_sum(BlockStatistics()(flat))
    assert np.isfinite(tape.gradient(total, flat)).all()


def test_widths_are_those_of_the_columns_by_block(layered, pixels):
    widths = layered.head.list_widths(layered.model)
    assert widths == [[4, 4], [8, 8], [32, 32]]
    vector = layered.model.get_layer(STATISTICS).output
    assert (
        vector.shape[-1]
        == sum(map(sum, widths))
        == layered.model.get_layer("logits").kernel.shape[0]
    )


@pytest.mark.parametrize(
    ("trainable", "crossing"),
    [
        ((HEAD,), {STATISTICS: (88,)}),
        (
            ("stage4", HEAD),
            {"stem_statistics": (8,), "stage2_statistics": (16,), "stage3": (8, 8, 16)},
        ),
        (("stage1", "stage2", "stage3", "stage4", HEAD), {"stem": (32, 32, 4)}),
    ],
)
def test_statistics_of_frozen_blocks_are_stored_in_place_of_their_maps(
    layered, pixels, trainable, crossing
):
    cut = find_cut(layered, trainable)
    assert cut.shapes == crossing
    whole = np.asarray(layered.model(pixels))
    assert np.asarray(cut.suffix(cut.prefix(pixels))) == pytest.approx(whole, abs=1e-5)


def test_a_saved_model_keeps_what_its_head_reads(layered, pixels, tmp_path):
    layered.model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(again(pixels), layered.model(pixels))
