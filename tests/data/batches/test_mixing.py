from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kft.data.batches.mixing import Mixing, _draw_beta

CLASSES, SIZE = 4, 20


@pytest.fixture
def batch() -> tuple[tf.Tensor, tf.Tensor]:
    """Pictures of one colour each: that of the class; the classes are all different."""
    targets = np.arange(CLASSES)
    pixels = np.tile(targets[:, None, None, None] * 10.0, (1, SIZE, SIZE, 3))
    return tf.constant(pixels, tf.float32), tf.constant(targets, tf.int64)


def mix(mixing, batch, *, seed=0, step=0) -> tuple[np.ndarray, np.ndarray]:
    """Mix inputs of one element."""
    given, targets = batch
    inputs, mixed = mixing({"x": given}, targets, seed=seed, step=tf.constant(step, tf.int64))
    assert list(inputs) == ["x"]
    return inputs["x"].numpy(), mixed.numpy()


def expected_colour(targets) -> np.ndarray:
    """Mean colour of pictures that hold each class's colour by its share."""
    return targets @ (np.arange(CLASSES) * 10.0)


@pytest.mark.parametrize("mixing", [Mixing(CLASSES, mixup=0.4), Mixing(CLASSES, cutmix=1.0)])
def test_targets_have_the_share_that_the_pictures_have(batch, mixing):
    is_any_mixed = False
    for step in range(20):
        inputs, targets = mix(mixing, batch, step=step)
        assert inputs.dtype == targets.dtype == np.float32
        assert targets.sum(axis=1) == pytest.approx(1.0)
        assert inputs.mean(axis=(1, 2, 3)) == pytest.approx(expected_colour(targets), abs=1e-4)
        is_any_mixed |= bool((targets.max(axis=1) < 0.9).any())
    assert is_any_mixed


def test_mixup_blends_every_pixel_and_cutmix_a_rectangle(batch):
    blended, _ = mix(Mixing(CLASSES, mixup=1.0), batch)
    assert all(len(np.unique(picture)) == 1 for picture in blended)
    for step in range(20):
        cut, targets = mix(Mixing(CLASSES, cutmix=1.0), batch, step=step)
        for picture, own, target in zip(cut, batch[0].numpy(), targets, strict=True):
            changed = (picture != own).any(axis=-1)
            rows, columns = changed.any(axis=1), changed.any(axis=0)
            assert np.array_equal(changed, rows[:, None] & columns[None, :])
            if changed.any():
                assert target.max() == pytest.approx(
                    max(changed.mean(), 1 - changed.mean()), abs=1e-6
                )


def test_with_both_each_has_about_half_of_the_batches(batch):
    both = Mixing(CLASSES, mixup=1.0, cutmix=1.0)
    num_colours = [
        max(len(np.unique(picture)) for picture in mix(both, batch, step=step)[0])
        for step in range(60)
    ]
    assert 15 <= sum(number > 1 for number in num_colours) <= 45


def test_a_step_and_a_seed_decide_alone(batch):
    mixing = Mixing(CLASSES, mixup=1.0, cutmix=1.0)
    first = mix(mixing, batch, seed=3, step=7)
    for one, again in zip(first, mix(mixing, batch, seed=3, step=7), strict=True):
        assert np.array_equal(one, again)
    assert not np.array_equal(first[1], mix(mixing, batch, seed=3, step=8)[1])
    assert not np.array_equal(first[1], mix(mixing, batch, seed=4, step=7)[1])


@pytest.mark.parametrize("changes", [{"mixup": 0.3}, {"cutmix": 0.3}, {"mixup": 1, "cutmix": 1}])
def test_an_example_alone_in_its_batch_stays_as_it_is(changes):
    pixels = tf.random.stateless_uniform((1, 8, 8, 3), (0, 0), maxval=255.0)
    for step in range(10):
        inputs, targets = mix(Mixing(CLASSES, **changes), (pixels, tf.constant([2])), step=step)
        assert np.array_equal(inputs, pixels)
        assert targets.tolist() == [pytest.approx([0, 0, 1, 0])]


def test_activations_and_labels_mix_alike():
    features = tf.eye(6)
    labels = tf.eye(6)[:, :5]
    inputs, targets = mix(Mixing(5, mixup=1.0), (features, labels))
    assert np.array_equal(inputs[:, :5], targets)
    assert not np.array_equal(inputs, features)


@pytest.mark.parametrize("changes", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_all_inputs_of_an_example_are_mixed_with_the_same_one_by_the_same_share(batch, changes):
    pixels, targets = batch
    given = {"pixels": pixels, "depth": pixels[..., :1] + 5.0}
    mixing = Mixing(CLASSES, **changes)
    for step in range(5):
        alone, expected = mix(mixing, batch, step=step)
        inputs, mixed = mixing(given, targets, seed=0, step=tf.constant(step, tf.int64))
        assert np.array_equal(mixed, expected)
        assert np.array_equal(inputs["pixels"], alone)
        assert np.allclose(inputs["depth"], inputs["pixels"][..., :1] + 5.0, atol=1e-4)


def test_a_mixing_that_mixes_nothing_is_a_fault():
    with pytest.raises(AssertionError):
        Mixing(CLASSES)


@pytest.mark.parametrize("alpha", [0.001, 0.2, 1.0, 8.0])
def test_the_share_is_drawn_from_the_beta_distribution(alpha):
    draw_all = tf.function(
        lambda numbers: tf.map_fn(
            lambda number: _draw_beta(alpha, tf.stack([0, number])),
            numbers,
            fn_output_signature=tf.float32,
        )
    )
    draws = draw_all(tf.range(2000)).numpy()
    assert np.isfinite(draws).all() and draws.min() >= 0.0 and draws.max() <= 1.0
    # Of Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)).
    assert draws.mean() == pytest.approx(0.5, abs=0.05)
    assert draws.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
