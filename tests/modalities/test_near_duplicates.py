from __future__ import annotations

import random

import pytest
from encoded import make_scene
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from kft.modalities import load_modality
from kft.modalities.image.thumbnails import HASHED_SIDE, hash_look, shrink
from kft.modalities.near_duplicates import find_look_alikes, find_same

MOST = load_modality("image").most_different_bits


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
    assert find_look_alikes([look(picture), *others, look(copy)], most_different_bits=MOST) == (
        (0, 21),
    )


def test_a_plain_picture_looks_like_no_other():
    assert look(Image.new("RGB", (50, 50), "red")) is None
    assert find_look_alikes([None, None, 5, None], most_different_bits=MOST) == ()


def test_likeness_is_passed_on():
    # 0 and 0b11111100 differ in six bits, but each only in three from the one between.
    assert find_look_alikes([0, 0b11111100, 2**40 - 1, 0b11100], most_different_bits=MOST) == (
        (0, 1, 3),
    )
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
    assert set(find_look_alikes(likenesses, most_different_bits=MOST)) == {(7, 5000), (4999, 5001)}


def test_many_copies_of_one_picture_make_one_set():
    assert find_look_alikes([3] * 20_000, most_different_bits=MOST) == (tuple(range(20_000)),)


def test_the_same_content_is_found_by_its_digest():
    assert find_same(["a", "b", "a", "c", "b", "a"]) == ((0, 2, 5), (1, 4))
