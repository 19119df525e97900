"""Distances tell inputs from elsewhere, also with fewer examples than features."""

from __future__ import annotations

import numpy as np
import pytest

from kft.evaluation.familiarity import (
    fit_familiarity,
    measure_unfamiliar,
    neighbour_distance,
    read_familiarity,
    write_familiarity,
)


def draw(count: int, seed: int, *, shift: float = 0.0, num_features: int = 40):
    """Two classes of features that vary more along some directions than along others."""
    random = np.random.default_rng(seed)
    classes = np.arange(count) % 2
    scales = np.linspace(0.2, 2, num_features)
    features = random.normal(0, scales, (count, num_features)) + 3
    features[:, 0] += 4 * classes
    features[:, 1] += shift
    return features.astype(np.float32), classes


def test_inputs_from_elsewhere_lie_farther_away():
    features, classes = draw(200, 0)
    familiarity = fit_familiarity(features, classes)
    known, _ = draw(100, 1)
    other, _ = draw(100, 2, shift=1.2)
    area, (low, high) = measure_unfamiliar(
        familiarity.mahalanobis(known), familiarity.mahalanobis(other)
    )
    assert 0.85 < low < area < high
    near, _ = measure_unfamiliar(
        neighbour_distance(features, known), neighbour_distance(features, other)
    )
    # The scatter of the features hides the shift from the neighbours, but not wholly.
    assert 0.5 < near < area


def test_distances_are_those_of_their_definitions():
    features, classes = draw(5000, 0, num_features=3)
    familiarity = fit_familiarity(features, classes)
    asked = features[:5] + 0.5
    centres = np.stack([features[classes == each].mean(axis=0) for each in (0, 1)])
    scatter = np.cov((features - centres[classes]).T, bias=True)
    offsets = asked[:, None] - centres
    expected = np.einsum("nci,ij,ncj->nc", offsets, np.linalg.inv(scatter), offsets).min(axis=1)
    # Shrinkage is weak with so many examples.
    assert familiarity.mahalanobis(asked) == pytest.approx(np.sqrt(expected), rel=0.05)
    normal = features / np.linalg.norm(features, axis=1, keepdims=True)
    directions = asked / np.linalg.norm(asked, axis=1, keepdims=True)
    distances = np.sort(np.linalg.norm(directions[:, None] - normal, axis=2), axis=1)
    assert neighbour_distance(features, asked) == pytest.approx(distances[:, 4], abs=1e-5)
    # Rounding of differences near 0 grows under the root.
    nearest = neighbour_distance(features, features[:5], num_neighbours=1)
    assert nearest == pytest.approx(np.zeros(5), abs=1e-3)


def test_fewer_examples_than_features_and_constant_features_are_no_problem():
    features, _ = draw(12, 0, num_features=100)
    features[:, 50:] = 7.0
    familiarity = fit_familiarity(features)
    assert np.isfinite(familiarity.mahalanobis(features)).all()
    assert neighbour_distance(features, features).shape == (12,)


def test_one_in_a_hundred_inputs_like_those_of_training_looks_unfamiliar():
    familiarity = fit_familiarity(*draw(4000, 0))
    called = familiarity.mahalanobis(draw(4000, 1)[0]) > familiarity.limit
    assert 0.002 < called.mean() < 0.03
    assert (familiarity.mahalanobis(draw(400, 1, shift=9.0)[0]) > familiarity.limit).all()


def test_of_many_examples_some_are_used_and_all_are_read_back(monkeypatch, tmp_path):
    monkeypatch.setattr("kft.evaluation.familiarity._MAX_EXAMPLES", 50)
    one, same = (fit_familiarity(*draw(120, 0)) for _ in range(2))
    assert len(one.usual) == 10 and np.array_equal(one.usual, same.usual)
    assert read_familiarity(tmp_path) is None
    write_familiarity(tmp_path, one)
    again = read_familiarity(tmp_path)
    features = draw(5, 1)[0]
    assert again.mahalanobis(features) == pytest.approx(one.mahalanobis(features), rel=1e-4)
    assert again.limit == pytest.approx(one.limit, rel=1e-6)


def test_a_perfect_separation_has_no_interval():
    assert measure_unfamiliar(np.arange(5.0), np.arange(5.0) + 9) == (1.0, None)
