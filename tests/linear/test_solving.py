"""A linear head is at the optimum of its objective, for features of any shape."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from sklearn.linear_model import LogisticRegression, Ridge

from kft.linear import LinearTargets, cross_validate, solve_linear
from kft.linear import problem as problem_module
from kft.linear import solving as solving_module
from kft.linear.folds import assign_folds
from kft.tasks import find_task


def solve(features, targets, word, *, weights=None, offsets=None, **options):
    """Solve for the linear loss of a task."""
    stated = LinearTargets(targets, weights, offsets)
    return solve_linear(features, stated, find_task(word).linear, **options)


def make_classes(rows: int, columns: int, classes: int, seed: int = 0, spread: float = 1.0):
    rng = np.random.default_rng(seed)
    indices = np.arange(rows) % classes
    centres = rng.normal(0, spread, (classes, columns))
    features = (centres[indices] + rng.normal(0, 1, (rows, columns)) + 3.0).astype(np.float32)
    return features, np.eye(classes, dtype=np.float32)[indices], indices


def class_objective(features, targets, kernel, bias, penalty, weights=None, offsets=0.0):
    logits = features.astype(np.float64) @ kernel.astype(np.float64) + bias + offsets
    losses = -(targets * special.log_softmax(logits, axis=1)).sum(axis=1)
    weights = np.ones(len(losses)) if weights is None else weights
    return (weights * losses).sum() + penalty * np.square(kernel, dtype=np.float64).sum()


@pytest.mark.parametrize(("rows", "columns"), [(200, 20), (40, 300), (60, 60)])
@pytest.mark.parametrize("penalty", [0.03, 3.0, 300.0])
def test_classes_reach_the_optimum_of_scikit_learn(rows, columns, penalty):
    features, targets, indices = make_classes(rows, columns, classes=4)
    found = solve(features, targets, "class", penalty=penalty)
    reference = LogisticRegression(C=1 / (2 * penalty), max_iter=20_000, tol=1e-9)
    reference.fit(features.astype(np.float64), indices)
    best = class_objective(features, targets, reference.coef_.T, reference.intercept_, penalty)
    ours = class_objective(features, targets, found.kernel, found.bias, penalty)
    assert ours <= best * (1 + 1e-5) + 1e-4
    assert found.path == ()


def test_a_large_penalty_leaves_a_bias_that_predicts_the_prior():
    features, targets, _ = make_classes(90, 10, classes=3)
    targets[:45] = [1, 0, 0]
    found = solve(features, targets, "class", penalty=1e9)
    probabilities = special.softmax(features @ found.kernel + found.bias, axis=1)
    assert probabilities.mean(axis=0) == pytest.approx(targets.mean(axis=0), abs=1e-3)
    assert np.abs(found.kernel).max() < 1e-4


def test_numbers_reach_the_optimum_of_ridge_regression():
    rng = np.random.default_rng(0)
    features = rng.normal(2, 1, (80, 12)).astype(np.float32)
    targets = (features[:, :2] * [2.0, -1.0] + 5 + rng.normal(0, 0.1, (80, 2))).astype(np.float32)
    found = solve(features, targets, "number", penalty=2.0)
    # kft halves the squared error, so scikit-learn's alpha is twice the penalty.
    reference = Ridge(alpha=4.0).fit(features, targets)
    assert found.kernel == pytest.approx(reference.coef_.T, abs=1e-3)
    assert found.bias == pytest.approx(reference.intercept_, abs=1e-2)


def test_labels_are_independent_logistic_regressions():
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (120, 8)).astype(np.float32)
    labels = (features[:, :3] + rng.normal(0, 0.7, (120, 3)) > 0).astype(np.float32)
    found = solve(features, labels, "labels", penalty=0.7)
    for column in range(3):
        reference = LogisticRegression(C=1 / 1.4, tol=1e-9, max_iter=5_000)
        reference.fit(features, labels[:, column])
        assert found.kernel[:, column] == pytest.approx(reference.coef_[0], abs=2e-3)


def test_a_weight_of_two_equals_a_duplicated_example():
    features, targets, _ = make_classes(60, 9, classes=3)
    weights = np.where(np.arange(60) < 20, 2.0, 1.0).astype(np.float32)
    weighted = solve(features, targets, "class", weights=weights, penalty=1.0)
    doubled = solve(
        np.concatenate([features, features[:20]]),
        np.concatenate([targets, targets[:20]]),
        "class",
        penalty=1.0,
    )
    assert weighted.kernel == pytest.approx(doubled.kernel, abs=2e-3)


def test_offsets_affect_the_loss_but_not_the_outputs():
    features, targets, _ = make_classes(60, 5, classes=3)
    offsets = np.log(np.array([0.6, 0.3, 0.1], np.float32))
    plain = solve(features, targets, "class", penalty=1.0)
    adjusted = solve(features, targets, "class", offsets=offsets, penalty=1.0)
    # The bias is not penalised and can compensate for an offset.
    assert adjusted.kernel == pytest.approx(plain.kernel, abs=2e-3)
    difference = adjusted.bias + offsets - plain.bias
    assert difference - difference.mean() == pytest.approx(np.zeros(3), abs=1e-2)


def test_memory_mapped_features_in_blocks_give_the_same_head(tmp_path, monkeypatch):
    features, targets, _ = make_classes(400, 30, classes=3, spread=0.5)
    held = solve(features, targets, "class", penalty=5.0)
    np.save(tmp_path / "features.npy", features)
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    monkeypatch.setattr(problem_module, "MAX_HELD", 100)
    monkeypatch.setattr(problem_module, "_MAX_BLOCK", 30 * 64)
    read = solve(mapped, targets, "class", penalty=5.0)
    assert read.kernel == pytest.approx(held.kernel, abs=1e-3)


def test_float16_features_are_computed_in_float32():
    features, targets, _ = make_classes(100, 10, classes=2)
    halves = features.astype(np.float16)
    assert solve(halves, targets, "class", penalty=1.0).kernel == pytest.approx(
        solve(halves.astype(np.float32), targets, "class", penalty=1.0).kernel
    )


def test_the_chosen_penalty_has_the_lowest_cross_validated_loss():
    features, targets, _ = make_classes(120, 200, classes=4, spread=0.15)
    found = solve(features, targets, "class")
    losses = [attempt.loss for attempt in found.path]
    assert found.best.loss == min(losses)
    # The best is at neither end of the path, so the path continued beyond it.
    assert 0 < losses.index(min(losses)) < len(losses) - 1
    penalties = [attempt.penalty for attempt in found.path]
    assert penalties == sorted(penalties, reverse=True)


def test_columns_of_wide_noise_do_not_end_the_path_too_early():
    """The loss rises while the penalties are so strong that only the noise has an effect."""
    features, targets, _ = make_classes(200, 256, classes=10, spread=0.35)
    features[:, :20] = np.random.default_rng(1).normal(0, 30, (200, 20))
    found = solve(features, targets, "class")
    first, second, third = (attempt.loss for attempt in found.path[:3])
    assert first < second < third
    assert found.best.score > 0.5


def test_features_of_pure_noise_get_the_strongest_penalty():
    _, targets, _ = make_classes(100, 30, classes=2)
    noise = np.random.default_rng(0).normal(size=(100, 30)).astype(np.float32)
    found = solve(noise, targets, "class")
    assert found.best is found.path[0]


def test_the_head_depends_only_on_the_data_and_the_seed_of_the_folds():
    features, targets, _ = make_classes(100, 40, classes=3, spread=0.4)
    first = solve(features, targets, "class", seed=1)
    again = solve(features, targets, "class", seed=1)
    assert first.kernel.tobytes() == again.kernel.tobytes()
    assert first.path == again.path
    assert first.path != solve(features, targets, "class", seed=2).path


def test_cross_validation_distinguishes_signal_from_noise():
    features, targets, _ = make_classes(200, 20, classes=2, spread=1.0)
    noise = np.random.default_rng(0).normal(size=features.shape).astype(np.float32)
    stated, loss = LinearTargets(targets), find_task("class").linear
    assert cross_validate(features, stated, loss).best.score > 0.9
    assert cross_validate(noise, stated, loss).best.score < 0.65


def test_features_without_spread_give_the_prior():
    targets = np.eye(2, dtype=np.float32)[[0, 0, 0, 1]]
    found = solve(np.ones((4, 3), np.float32), targets, "class")
    answer = special.softmax(np.ones(3) @ found.kernel + found.bias)
    assert answer == pytest.approx([0.75, 0.25], abs=0.02)


def test_an_example_out_of_fold_is_predicted_by_a_head_that_did_not_see_it():
    features, targets, _ = make_classes(60, 10, classes=3, spread=0.6)
    found = solve(features, targets, "class")
    folds = assign_folds(LinearTargets(targets), find_task("class").linear, 0)
    for fold in range(5):
        seen = folds != fold
        other = solve(features[seen], targets[seen], "class", penalty=found.penalty)
        predicted = features[~seen] @ other.kernel + other.bias
        assert found.out_of_fold[~seen] == pytest.approx(predicted, abs=0.05)


def test_every_example_of_many_is_predicted_out_of_fold(monkeypatch):
    features, targets, indices = make_classes(400, 20, classes=4, spread=0.6)
    monkeypatch.setattr(solving_module, "CROSS_VALIDATED", 100)
    found = solve(features, targets, "class")
    assert found.num_cross_validated == 100
    accuracy = (found.out_of_fold.argmax(axis=1) == indices).mean()
    assert found.best.score - 0.1 < accuracy < 0.99


def test_factors_are_the_units_of_the_penalty():
    factors = np.array([2.0, 0.5, 0.0, 1.0, 3.0], np.float32)
    for rows in (4, 40):
        features, targets, _ = make_classes(rows, 5, classes=2)
        stated, loss = LinearTargets(targets), find_task("class").linear
        found = solve_linear(features, stated, loss, factors=factors, penalty=0.5)
        scaled = solve_linear(features * factors, stated, loss, penalty=0.5)
        assert found.kernel == pytest.approx(scaled.kernel * factors[:, None], abs=1e-3)
        assert found.bias == pytest.approx(scaled.bias, abs=1e-2)


def test_a_held_out_part_chooses_a_penalty_close_to_that_of_folds(monkeypatch):
    features, targets, _ = make_classes(600, 80, classes=12, spread=0.4)
    folded = solve(features, targets, "class")
    monkeypatch.setattr(solving_module, "MAX_FOLDED_WORK", 0)
    held_out = solve(features, targets, "class")
    assert folded.num_judged == 600
    assert held_out.num_judged == 120
    steps = np.log(held_out.penalty / folded.penalty) / np.log(solving_module.PATH_FACTOR)
    assert abs(steps) < 1.5


def test_classes_that_a_fold_has_not_seen_do_not_affect_the_penalty():
    """Their bias falls without limit, so their loss would rise with every step."""
    features, targets, _ = make_classes(200, 30, classes=4, spread=0.8)
    lone = np.random.default_rng(5).normal(3, 1, (20, 30)).astype(np.float32)
    wider = np.zeros((220, 24), np.float32)
    wider[:200, :4], wider[200:, 4:] = targets, np.eye(20)
    found = solve(np.concatenate([features, lone]), wider, "class")
    assert found.best.loss < np.log(24)
    alone = solve(features, targets, "class")
    steps = np.log(found.penalty / alone.penalty) / np.log(solving_module.PATH_FACTOR)
    assert abs(steps) < 3.5
