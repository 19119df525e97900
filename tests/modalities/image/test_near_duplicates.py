from __future__ import annotations

import random

import numpy as np
import pytest
from encoded import make_scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from kft.modalities.image.near_duplicates import find_bad_copies, find_look_alikes, find_same
from kft.modalities.image.thumbnails import HASHED_SIDE, hash_look, measure, shrink


def look(picture: Image.Image) -> int | None:
    return hash_look(shrink(picture, 1, side=HASHED_SIDE))


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: picture.resize((48, 32)),
        lambda picture: picture.resize((300, 200)),
        lambda picture: picture.resize((90, 90)),
        lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
        lambda picture: picture.convert("L").convert("RGB"),
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_changed_copy_looks_the_same(change, seed):
    picture = make_scene(192, 128, seed=seed)
    copy = change(picture)
    others = [look(make_scene(192, 128, seed=seed + 10 + i)) for i in range(20)]
    assert find_look_alikes([look(picture), *others, look(copy)]) == ((0, 21),)


def test_a_plain_picture_looks_like_no_other():
    assert look(Image.new("RGB", (50, 50), "red")) is None
    assert find_look_alikes([None, None, 5, None]) == ()


def test_likeness_is_passed_on():
    # 0 and 0b11111100 differ in six bits, but each only in three from the one between.
    assert find_look_alikes([0, 0b11111100, 2**40 - 1, 0b11100]) == ((0, 1, 3),)
    assert find_look_alikes([0, 0b11111100, 0b11100], most_different_bits=2) == ()


def find_slowly(likenesses: list[int | None], most: int) -> set[frozenset[int]]:
    sets = {i: {i} for i, value in enumerate(likenesses) if value is not None}
    for i in list(sets):
        for j in list(sets):
            if (likenesses[i] ^ likenesses[j]).bit_count() <= most:
                joined = sets[i] | sets[j]
                sets |= dict.fromkeys(joined, joined)
    return {frozenset(found) for found in sets.values() if len(found) > 1}


@given(
    likenesses=st.lists(
        st.none() | st.integers(0, 63) | st.integers(2**64 - 64, 2**64 - 1), max_size=12
    ),
    most=st.integers(0, 3),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_sets_are_those_of_a_search_one_by_one(likenesses, most):
    found = find_look_alikes(likenesses, most_different_bits=most)
    assert {frozenset(places) for places in found} == find_slowly(likenesses, most)


def test_many_pictures_are_compared_in_blocks():
    draw = random.Random(0)
    likenesses: list[int | None] = [draw.getrandbits(64) for _ in range(5000)]
    likenesses += [likenesses[7], likenesses[4999] ^ 0b101]
    assert set(find_look_alikes(likenesses)) == {(7, 5000), (4999, 5001)}


def test_many_copies_of_one_picture_make_one_set():
    assert find_look_alikes([3] * 20_000) == (tuple(range(20_000)),)


def test_the_same_content_is_found_by_its_digest():
    assert find_same(["a", "b", "a", "c", "b", "a"]) == ((0, 2, 5), (1, 4))


def test_the_same_picture_under_two_labels_goes_and_the_others_are_named():
    bad = find_bad_copies(["a", "b", "c", "d"], ["1", "1", "1", "2"], ["x", "y", "x", "x"], None)
    assert bad.keys() == {0, 1, 2}
    assert bad[0] == (
        "the same picture as b, which is labelled 'y', not 'x'; decide which is right, and remove "
        "the other file"
    )
    assert "as a, which is labelled 'x', not 'y'" in bad[1]


def test_the_same_picture_in_two_given_splits_stays_where_it_is_judged():
    names, digests, labels = ["a", "b", "c", "d"], ["1", "1", "1", "2"], ["x"] * 4
    splits = ["train", "holdout", "validation", "train"]
    assert find_bad_copies(names, digests, labels, splits) == {
        0: "the same picture as b, which is in the holdout split",
        2: "the same picture as b, which is in the holdout split",
    }
    splits = ["train", "train", "validation", "train"]
    assert find_bad_copies(names, digests, labels, splits).keys() == {0, 1}
    assert find_bad_copies(names, digests, labels, ["train"] * 4) == {}
    assert find_bad_copies(names, digests, labels, None) == {}


def test_a_thumbnail_is_measured():
    framed = Image.new("RGB", (200, 100), (200, 0, 0))
    framed.paste((0, 0, 100), (20, 20, 180, 80))
    seen = measure(framed)
    assert seen.border_rgb == pytest.approx((200, 0, 0))
    assert seen.mean_rgb == pytest.approx((104, 0, 48), abs=3)
    assert 20 < seen.brightness < 50 and 15 < seen.contrast < 40
    plain = measure(Image.new("RGB", (64, 64), (10, 20, 30)))
    assert plain.sharpness == pytest.approx(0, abs=1e-6) and plain.contrast < 1e-3


def test_a_blurred_picture_is_less_sharp():
    sharp = Image.fromarray(np.kron(np.eye(2, dtype=np.uint8), np.full((8, 8), 255, np.uint8)))
    sharp = Image.fromarray(np.tile(np.asarray(sharp), (16, 16))).convert("RGB")
    blurred = sharp.resize((32, 32)).resize(sharp.size, Image.Resampling.BICUBIC)
    assert measure(sharp).sharpness > 5 * measure(blurred).sharpness


@pytest.mark.parametrize("size", [(1, 1), (1, 30_000), (30_000, 1), (3, 700), (5000, 4000)])
def test_a_thumbnail_is_small_whatever_the_shape(size):
    small = shrink(Image.new("RGB", size), 1, side=HASHED_SIDE)
    assert max(small.size) <= 32 * HASHED_SIDE and min(small.size) >= min(*size, HASHED_SIDE)
    measure(small)


def test_the_copies_among_real_messages_are_all_found_whatever_is_compared(shared):
    # Contents are what is compared, and a text is as good as a picture's digest.
    lines = (shared / "data/text/sms_spam/sms.tsv").read_text(encoding="utf-8").split("\n")[:-1]
    labels, messages = zip(*(line.split("\t", 1) for line in lines), strict=True)
    sets = find_same(messages)
    assert sum(len(places) - 1 for places in sets) == 403
    # Each message has one label only, so that none contradicts another.
    names = [str(line) for line in range(len(lines))]
    assert find_bad_copies(names, messages, labels, None) == {}
    assert len(find_bad_copies(names, messages, ("ham", *labels[:-1]), None)) > 0
