"""Outliers among pictures are found."""

from __future__ import annotations

import numpy as np
import pytest

from kft.auditing.outliers import find_far_features, find_odd_ones, measure_distances


def spread_sizes(count: int = 200) -> dict[int, dict[str, object]]:
    """Make sizes of ordinary photographs, from 300 to 700 pixels."""
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
    """A picture that is stored on its side counts by its upright size."""
    turned = {i: {"width": 375, "height": 500} for i in range(200)}
    turned |= {i: {"width": 500, "height": 375, "orientation": 6} for i in range(3)}
    assert find_odd_ones(make_pictures(200, changes=turned)) == ()


def test_among_a_handful_nothing_is_odd(make_pictures):
    assert find_odd_ones(make_pictures(10, changes={7: {"mode": "P"}})) == ()


def make_vectors(count: int = 200, features: int = 16) -> np.ndarray:
    """Make vectors of two alternating classes, one narrow and one wide."""
    rng = np.random.default_rng(1)
    noise = rng.uniform(-1, 1, (count, features))
    wide = np.arange(count) % 2
    centres = np.where(wide[:, None] == 1, np.linspace(-3, 3, features), 3.0)
    return (centres + noise * (1 + wide[:, None])).astype(np.float32)


def test_a_vector_that_points_away_from_its_class_is_an_outlier(make_pictures):
    pictures, vectors = make_pictures(200), make_vectors()
    distances = measure_distances(vectors, pictures.classes, block=33)
    assert np.isclose(np.median(distances[::2]), 1) and np.isclose(np.median(distances[1::2]), 1)
    vectors[8] = vectors[9]
    (finding,) = find_far_features(
        pictures, measure_distances(vectors, pictures.classes), "small_cnn"
    )
    assert finding.files[0].name == "0008.jpg"
    assert "small_cnn" in finding.sentence and finding.files[0].note.startswith("cat, ")


def test_vectors_of_a_usual_spread_are_no_finding(make_pictures):
    pictures = make_pictures(200)
    distances = np.random.default_rng(0).uniform(0.5, 1.5, 200)
    assert find_far_features(pictures, distances, "small_cnn") == ()


def test_a_class_of_a_few_or_of_one_vector_has_no_usual_distance():
    assert (measure_distances(make_vectors(4), np.array([0, 0, 0, 1])) == 1).all()
    assert (measure_distances(np.ones((8, 3), np.float32), np.zeros(8, np.int64)) == 1).all()
    assert (measure_distances(np.zeros((8, 3), np.float32), np.zeros(8, np.int64)) == 1).all()
