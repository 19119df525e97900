"""Segmentation: losses, counts, figures, sampled places and served masks."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.config import HeadConfig, TrainingConfig
from kft.tasks import VOID, load_task, make_head
from kft.tasks.pooling import FEATURES
from kft.tasks.segmentation.counts import PixelCounts, count_pixels
from kft.tasks.segmentation.decoders import DECODERS, choose_strides
from kft.tasks.segmentation.loss import MaskAccuracy, MaskLoss, MaskTerms
from kft.tasks.segmentation.places import sample_places
from kft.tasks.segmentation.serving import answer_masks

TASK = load_task("segmentation")
NAMES = ("sky", "road", "tree")
RANDOM = np.random.default_rng(0)
MASKS = RANDOM.integers(0, 3, (3, 8, 10)).astype(np.uint8)
MASKS[0, :2] = VOID
LOGITS = RANDOM.normal(0, 2, (3, 8, 10, 3)).astype(np.float32)
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=-1, keepdims=True)


def one_hot(masks: np.ndarray, gain: float = 30.0) -> np.ndarray:
    return (gain * (masks[..., np.newaxis] == np.arange(3))).astype(np.float32)


def losses(masks=MASKS, logits=LOGITS, **terms) -> np.ndarray:
    return np.asarray(MaskLoss(MaskTerms(**terms)).call(tf.constant(masks), tf.constant(logits)))


def test_the_loss_is_the_mean_over_the_labelled_pixels_of_each_picture():
    expected = []
    for mask, probabilities in zip(MASKS, PROBABILITIES, strict=True):
        known = mask != VOID
        own = probabilities[known][np.arange(known.sum()), mask[known]]
        expected.append(-np.log(own).mean())
    assert losses() == pytest.approx(expected, rel=1e-5)


def test_void_pixels_change_no_loss_whatever_is_answered_there():
    changed = LOGITS.copy()
    changed[MASKS == VOID] = RANDOM.normal(0, 9, (int((MASKS == VOID).sum()), 3))
    for region in ("none", "dice", "lovasz"):
        assert losses(region_loss=region) == pytest.approx(
            losses(logits=changed, region_loss=region), rel=1e-5
        )
    assert losses(np.full_like(MASKS, VOID)).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("region", ["none", "dice", "lovasz"])
def test_a_perfect_answer_has_next_to_no_loss(region):
    known = np.where(MASKS == VOID, 0, MASKS)
    assert losses(known, one_hot(known), region_loss=region).max() < 1e-3
    assert losses(region_loss=region).min() > 0.3


def test_lovasz_is_one_minus_the_intersection_over_union_of_hard_answers():
    answers = RANDOM.integers(0, 3, MASKS.shape)
    hard = losses(logits=one_hot(answers, 200.0), region_loss="lovasz") - losses(
        logits=one_hot(answers, 200.0)
    )
    for mask, answer, found in zip(MASKS, answers, hard, strict=True):
        known = mask != VOID
        ious = [
            ((mask == i) & (answer == i) & known).sum()
            / (((mask == i) | (answer == i)) & known).sum()
            for i in range(3)
        ]
        assert found == pytest.approx(1 - np.mean(ious), abs=1e-4)


def test_class_weights_and_focal_factor_change_pixels_by_their_class_and_doubt():
    only_sky = losses(class_weights=(1.0, 0.0, 0.0))
    for mask, probabilities, found in zip(MASKS, PROBABILITIES, only_sky, strict=True):
        own = -np.log(probabilities[mask == 0][:, 0])
        assert found == pytest.approx(own.sum() / (mask != VOID).sum(), rel=1e-5)
    assert (losses(focal_gamma=2.0) < losses()).all()


def test_weights_of_balance_are_the_inverse_of_the_share_of_pixels():
    head = make_head(HeadConfig(), TASK, NAMES, np.array([[10, 30, 0], [10, 50, 0]]))
    terms = head.make_terms(TrainingConfig(class_weights="balanced"), np.array([[20, 80, 0]]))
    assert terms.class_weights == pytest.approx((2.5, 0.625, 0.0))


def test_accuracy_counts_labelled_pixels_and_examples_that_come_once_more_count_nothing():
    metric = MaskAccuracy()
    metric.update_state(MASKS, LOGITS, sample_weight=np.array([1.0, 1.0, 0.0], np.float32))
    known = MASKS[:2] != VOID
    right = (LOGITS[:2].argmax(axis=-1) == MASKS[:2])[known].mean()
    assert float(metric.result()) == pytest.approx(right)


def brute_force_ious(masks, answers) -> list[float]:
    known = masks != VOID
    return [
        ((masks == i) & (answers == i) & known).sum()
        / (((masks == i) | (answers == i)) & known).sum()
        for i in range(3)
    ]


def test_figures_equal_those_of_all_pixels_at_once():
    outputs = count_pixels(PROBABILITIES, MASKS)
    figures = TASK.figures.compute(np.zeros((3, 3)), outputs, NAMES, np.array([[9, 1, 1]]))
    expected = brute_force_ious(MASKS, PROBABILITIES.argmax(axis=-1))
    found = [figures["mask_classes"][name]["iou"] for name in NAMES]
    assert found == pytest.approx(expected)
    assert figures["mean_iou"] == pytest.approx(np.mean(expected))
    known = MASKS != VOID
    right = (PROBABILITIES.argmax(axis=-1) == MASKS)[known].mean()
    assert figures["pixel_accuracy"] == pytest.approx(right)
    assert TASK.figures.accuracy(outputs, MASKS) == pytest.approx(right)
    assert figures["most_frequent"] == "sky"
    sky = np.where(known, 0, VOID)
    baseline = brute_force_ious(MASKS, sky)
    assert figures["baseline_mean_iou"] == pytest.approx(np.mean(baseline))
    low, high = figures["intervals_95_percent"]["mean_iou"]
    assert low < figures["mean_iou"] < high


def test_a_class_that_no_picture_shows_is_not_judged():
    masks = np.where(MASKS == 2, 1, MASKS)
    figures = TASK.figures.compute(
        np.zeros((3, 3)), count_pixels(PROBABILITIES, masks), NAMES, np.array([[1, 9, 0]])
    )
    assert figures["not_judged"] == ["tree"]
    assert figures["mask_classes"]["tree"]["iou"] is None
    shown = [figures["mask_classes"][name]["iou"] for name in ("sky", "road")]
    assert figures["mean_iou"] == pytest.approx(np.mean(shown))


def test_a_boundary_within_the_tolerance_counts_and_one_beyond_it_does_not():
    mask = np.zeros((200, 200), np.uint8)
    mask[:, 100:] = 1
    # The tolerance is 0.75 % of the diagonal: 2.1 pixels.
    for shift, expected in ((0, 1.0), (2, 1.0), (4, 0.0)):
        answer = np.roll(mask, shift, axis=1)
        answer[:, :shift] = 0
        counts = count_pixels(one_hot(answer, 1.0)[np.newaxis], mask[np.newaxis])
        figures = TASK.figures.compute(np.zeros((1, 3)), counts, NAMES, np.ones((1, 3)))
        assert figures["boundary_f"] == pytest.approx(expected)


def test_a_picture_without_a_label_counts_nowhere():
    masks = np.concatenate([MASKS, np.full((1, 8, 10), VOID, np.uint8)])
    probabilities = np.concatenate([PROBABILITIES, PROBABILITIES[:1]])
    counts = PixelCounts.unpack(count_pixels(probabilities, masks))
    assert counts.labelled[-1] == counts.losses[-1] == counts.confusion[-1].sum() == 0
    assert counts.true_shares[-1].tolist() == [0, 0, 0]


@pytest.mark.parametrize("decoder", list(DECODERS))
def test_decoders_give_logits_at_the_size_of_any_input(decoder):
    head = make_head(HeadConfig(decoder=decoder), TASK, NAMES, np.ones((1, 3)))
    levels = {"s1": 2, "s2": 4, "s3": 8, "s4": 16, "s5": 32}
    head = head.read_levels(levels, (50, 66))
    sizes = {name: (-(-50 // stride), -(-66 // stride)) for name, stride in levels.items()}
    sizes[FEATURES] = sizes["s5"]
    inputs = {name: keras.Input((*sizes[name], 3), name=name) for name in head.reads}
    model = keras.Model(inputs, head.build(inputs))
    features = {n: RANDOM.normal(size=(2, *sizes[n], 3)).astype("f4") for n in head.reads}
    logits = np.asarray(model(features))
    assert logits.shape == (2, 50, 66, 3)
    assert not logits.any()
    assert head.taps == tuple(name for name in head.reads if name != FEATURES)


def test_a_linear_decoder_reads_an_eighth_and_coarser_and_others_more():
    strides = [2, 4, 8, 16, 32]
    assert choose_strides("linear", strides) == choose_strides("lraspp", strides) == [8, 16, 32]
    assert choose_strides("unet", strides) == [4, 8, 16, 32]
    assert choose_strides("deeplab", strides) == [4, 32]
    assert choose_strides("unet", [1, 2]) == [2]


def test_sampled_places_hold_the_class_at_their_centre():
    maps = RANDOM.normal(size=(3, 4, 5, 2)).astype(np.float16)
    rows = sample_places(maps, MASKS, None, seed=0)
    centres = MASKS[:, 1::2, 1::2]
    known = centres.ravel() != VOID
    assert rows.targets.tolist() == centres.ravel()[known].tolist()
    assert np.array_equal(rows.vectors, maps.reshape(-1, 2)[known].astype(np.float32))
    assert rows.units.tolist() == np.repeat(np.arange(3), 20)[known].tolist()
    assert rows.num_available is None and not rows.describe()


def test_too_many_places_are_sampled_equally_from_each_picture_and_said():
    maps, masks = np.zeros((4, 100, 100, 1), np.float32), np.zeros((4, 100, 100), np.uint8)
    rows = sample_places(maps, masks, np.array([0, 0, 1, 1]), seed=1)
    assert len(rows.vectors) == 20_000
    assert np.bincount(rows.units).tolist() == [10_000, 10_000]
    assert rows.facts() == {"num_rows": 20_000, "num_available_rows": 40_000}
    assert "20,000 of 40,000 places, sampled" in rows.describe()


def test_served_masks_are_those_of_the_files_and_void_where_the_model_saw_nothing():
    probabilities = one_hot(np.array([[[0, 1], [0, 1]]] * 3), 1.0)
    frames = np.array(
        [
            [8, 6, 0, 0, 1, 1],  # stretched
            [4, 8, 0, 0.25, 1, 0.75],  # the centre of a wide file
            [4, 2, 0, -0.5, 1, 1.5],  # a tall file with what was added at its sides
        ],
        np.float32,
    )
    served = {
        name: each.numpy()
        for name, each in answer_masks(tf.constant(probabilities), tf.constant(frames)).items()
    }
    assert served["mask"].shape == (3, 8, 8)
    assert served["sizes"].tolist() == [[8, 6], [4, 8], [4, 2]]
    whole = served["mask"][0, :8, :6]
    assert whole.tolist() == [[0, 0, 0, 1, 1, 1]] * 8
    assert (served["mask"][0, :, 6:] == VOID).all()
    wide = served["mask"][1, :4, :8]
    assert (wide[:, :2] == VOID).all() and (wide[:, 6:] == VOID).all()
    assert wide[0, 2:6].tolist() == [0, 0, 1, 1]
    tall = served["mask"][2, :4, :2]
    assert tall.tolist() == [[0, 1]] * 4
    assert served["shares"][0] == pytest.approx([0.5, 0.5, 0.0])


def test_a_large_mask_is_the_same_in_every_band():
    ramp = np.linspace(0, 1, 16, dtype=np.float32)
    probabilities = np.stack(
        [np.tile(ramp[:, None], (1, 4)), np.tile(ramp[::-1, None], (1, 4))], -1
    )
    frames = np.array([[301, 40, 0, 0, 1, 1]], np.float32)
    mask = answer_masks(tf.constant(probabilities[np.newaxis]), tf.constant(frames))["mask"].numpy()
    assert mask.shape == (1, 301, 40)
    rows = mask[0, :, 0]
    assert rows[:150].tolist() == [1] * 150 and rows[151:].tolist() == [0] * 150
