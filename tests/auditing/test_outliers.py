"""Pictures unlike all others."""

from __future__ import annotations

import numpy as np
import pytest

from kft.auditing.outliers import find_far_features, find_odd_ones, measure_distances


def spread_sizes(count: int = 200) -> dict[int, dict[str, object]]:
    """Sizes as photographs have them: from 300 to 700 pixels."""
    rng = np.random.default_rng(0)
    return {
        i: {"width": int(rng.integers(300, 700)), "height": int(rng.integers(300, 700))}
        for i in range(count)
    }


def test_a_usual_spread_is_no_finding(make_pictures):
    assert find_odd_ones(make_pictures(200, changes=spread_sizes())) == ()


@pytest.mark.parametrize(
    ("changes", "kind", "note"),
    [
        ({"mode": "P", "format": "GIF"}, "odd_format", "GIF in mode P"),
        ({"mode": "L"}, "odd_format", "JPEG in mode L"),
        ({"width": 3024, "height": 4032}, "odd_size", "3024 x 4032"),
        ({"width": 3000, "height": 60}, "odd_shape", "3000 x 60"),
        ({"brightness": 250.0}, "odd_brightness", "mean grey value 250"),
    ],
)
def test_the_one_that_differs_is_named(make_pictures, changes, kind, note):
    pictures = make_pictures(200, changes={7: changes})
    found = {finding.kind: finding for finding in find_odd_ones(pictures)}
    assert kind in found
    assert [(file.name, file.note) for file in found[kind].files] == [("0007.jpg", note)]


def test_a_mode_that_many_have_is_not_odd(make_pictures):
    greys = {i: {"mode": "L"} for i in range(20)}
    assert find_odd_ones(make_pictures(200, changes=greys)) == ()


def test_sizes_are_those_of_the_upright_picture(make_pictures):
    """A camera held upright or not: stored alike, shown as portrait and landscape."""
    turned = {i: {"width": 375, "height": 500} for i in range(200)}
    turned |= {i: {"width": 500, "height": 375, "orientation": 6} for i in range(3)}
    assert find_odd_ones(make_pictures(200, changes=turned)) == ()


def test_among_a_handful_nothing_is_odd(make_pictures):
    assert find_odd_ones(make_pictures(10, changes={7: {"mode": "P"}})) == ()


def make_vectors(count: int = 200, features: int = 16) -> np.ndarray:
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(count, features)).astype(np.float32)
    vectors[1::2] = 3 * vectors[1::2] + 10
    return vectors


def test_a_vector_far_from_its_class_is_an_outlier(make_pictures):
    pictures, vectors = make_pictures(200), make_vectors()
    distances = measure_distances(vectors, pictures.classes, block=33)
    assert np.isclose(np.median(distances[::2]), 1) and np.isclose(np.median(distances[1::2]), 1)
    assert find_far_features(pictures, distances, "small_cnn") == ()
    vectors[8] += 20
    (finding,) = find_far_features(
        pictures, measure_distances(vectors, pictures.classes), "small_cnn"
    )
    assert [file.name for file in finding.files] == ["0008.jpg"]
    assert "small_cnn" in finding.sentence and "cat" in finding.files[0].note


def test_a_class_of_a_few_has_no_usual_distance():
    distances = measure_distances(make_vectors(4), np.array([0, 0, 0, 1]))
    assert (distances == 1).all()
