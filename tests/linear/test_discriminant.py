"""Linear discriminants are cross-fitted without a fit per fold."""

from __future__ import annotations

import numpy as np
import pytest

from kft.linear import LinearTargets, solve_linear
from kft.linear import discriminant as discriminant_module
from kft.linear.discriminant import fit_discriminant
from kft.linear.folds import assign_folds
from kft.linear.problem import Problem
from kft.tasks import find_task

LOSS = find_task("class").linear


def make_classes(rows: int, columns: int, classes: int, seed: int = 0):
    """Make features whose largest variation is the same in all classes."""
    rng = np.random.default_rng(seed)
    indices = np.arange(rows) % classes
    features = rng.normal(0, 1, (rows, columns)) + rng.normal(0, 0.4, (classes, columns))[indices]
    features += rng.normal(0, 3, (rows, 5)) @ rng.normal(0, 1, (5, columns))
    return features.astype(np.float32), LinearTargets(np.eye(classes, dtype=np.float32)[indices])


def fit(features, targets, **options):
    folds = assign_folds(targets, LOSS, 0)
    problem = Problem(features, targets, LOSS)
    return fit_discriminant(problem, targets, LOSS, folds, **options), folds


@pytest.mark.parametrize(("rows", "columns"), [(60, 90), (90, 20)])
def test_scores_out_of_fold_equal_a_fit_without_the_fold(rows, columns, monkeypatch):
    monkeypatch.setattr(discriminant_module, "_separate", lambda scores, *_: (np.eye(3), 0))
    features, targets = make_classes(rows, columns, 3)
    found, folds = fit(features, targets, penalties=[0.1])
    centred = features - features.mean(axis=0)
    penalty = 0.1 * np.square(centred).sum(axis=1).mean()
    for fold in range(5):
        seen = folds != fold
        middle, share = centred[seen].mean(axis=0), targets.dense[seen].mean(axis=0)
        part = centred[seen] - middle
        kernel = np.linalg.solve(
            part.T @ part + penalty * np.eye(columns), part.T @ (targets.dense[seen] - share)
        )
        expected = (centred[~seen] - middle) @ kernel + share
        assert found.logits[~seen] == pytest.approx(expected, abs=1e-3)


def test_discriminants_look_past_variation_within_classes():
    features, targets = make_classes(400, 60, 4)
    train, rest = np.arange(200), np.arange(200, 400)
    found, _ = fit(features[train], targets.take(train))
    logits = features[rest] @ found.kernel + found.bias
    accuracy = LOSS.score(logits, targets.dense[rest]).mean()
    solved = solve_linear(features[train], targets.take(train), LOSS)
    plain = LOSS.score(features[rest] @ solved.kernel + solved.bias, targets.dense[rest]).mean()
    assert accuracy > plain - 0.02
    assert accuracy == pytest.approx(LOSS.score(found.logits, targets.dense[train]).mean(), abs=0.1)


def test_offsets_are_taken_out_of_the_logits():
    features, targets = make_classes(60, 20, 3)
    offsets = np.array([0.5, -1.0, 0.5], np.float32)
    plain, _ = fit(features, targets)
    shifted, _ = fit(features, LinearTargets(targets.dense, offsets=offsets))
    assert shifted.kernel == pytest.approx(plain.kernel)
    assert shifted.bias + offsets == pytest.approx(plain.bias, abs=1e-5)


def test_a_class_of_one_example_gets_finite_logits():
    features, targets = make_classes(60, 20, 3)
    dense = np.concatenate([targets.dense, np.zeros((60, 1), np.float32)], axis=1)
    dense[0] = [0, 0, 0, 1]
    found, _ = fit(features, LinearTargets(dense))
    assert np.isfinite(found.logits).all()
