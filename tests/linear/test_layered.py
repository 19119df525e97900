"""A head on several blocks is one linear head on their raw statistics."""

from __future__ import annotations

import numpy as np
import pytest

from kft.linear import LinearTargets, solve_layered, solve_linear
from kft.linear import solving as solving_module
from kft.tasks import find_task

CLASSES = find_task("class").linear
# Means and deviations of three blocks, shallow to deep.
BLOCKS = ((4, 4), (6, 6), (10, 10))
FIRST = slice(0, 8)
LAST = slice(20, 40)


def make_statistics(rows: int, telling: slice, seed: int = 0):
    """Make statistics of which one block alone tells the class, and their targets."""
    rng = np.random.default_rng(seed)
    indices = np.arange(rows) % 3
    statistics = rng.normal(2, 1, (rows, 40))
    width = telling.stop - telling.start
    statistics[:, telling] += rng.normal(0, 2 / np.sqrt(width), (3, width))[indices]
    targets = LinearTargets(np.eye(3, dtype=np.float32)[indices])
    return statistics.astype(np.float32), targets


def scale_by_hand(statistics, gamma):
    """Centre and scale each statistic, and weight it by the distance of its block."""
    parts, begin = [], 0
    for distance, block in zip((2, 1, 0), BLOCKS, strict=True):
        for width in block:
            part = statistics[:, begin : begin + width].astype(np.float64)
            part = part - part.mean(axis=0)
            norm = np.sqrt(np.square(part).sum(axis=1).mean())
            parts.append(part / norm * gamma**distance)
            begin += width
    return np.concatenate(parts, axis=1).astype(np.float32)


@pytest.mark.parametrize("rows", [30, 90])
@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_the_folded_head_answers_as_one_on_scaled_statistics(rows, gamma):
    statistics, targets = make_statistics(rows, FIRST)
    folded = solve_layered(statistics, BLOCKS, targets, CLASSES, gammas=[gamma]).head
    scaled = scale_by_hand(statistics, gamma)
    plain = solve_linear(scaled, targets, CLASSES)
    assert folded.penalty == pytest.approx(plain.penalty, rel=1e-4)
    assert statistics @ folded.kernel + folded.bias == pytest.approx(
        scaled @ plain.kernel + plain.bias, abs=5e-3
    )
    assert folded.out_of_fold == pytest.approx(plain.out_of_fold, abs=5e-2)


def test_gamma_0_is_the_probe_of_the_last_block():
    statistics, targets = make_statistics(60, LAST)
    found = solve_layered(statistics, ((20,), (20,)), targets, CLASSES, gammas=[0.0])
    last = solve_linear(statistics[:, LAST], targets, CLASSES)
    assert not found.head.kernel[:20].any()
    assert found.head.kernel[20:] == pytest.approx(last.kernel, abs=1e-3)
    assert found.head.best.loss == pytest.approx(last.best.loss, rel=1e-3)


def test_the_scale_of_a_block_changes_nothing():
    statistics, targets = make_statistics(60, FIRST)
    larger = statistics * np.repeat([1000.0, 0.01, 3.0], [8, 12, 20]).astype(np.float32)
    small, large = (solve_layered(s, BLOCKS, targets, CLASSES) for s in (statistics, larger))
    assert small.gamma == large.gamma
    assert larger @ large.head.kernel + large.head.bias == pytest.approx(
        statistics @ small.head.kernel + small.head.bias, abs=2e-2
    )


def test_gamma_follows_the_block_that_tells_the_classes():
    early = solve_layered(*_arguments(make_statistics(90, FIRST)))
    late = solve_layered(*_arguments(make_statistics(90, LAST)))
    assert early.gamma == 1.0
    assert late.gamma <= 0.5
    assert early.head.best.score > 0.6
    assert early.compared[0.0].score < 0.5
    for found in (early, late):
        losses = {gamma: attempt.loss for gamma, attempt in found.compared.items()}
        assert found.gamma == min(losses, key=losses.__getitem__)
        assert found.head.best.loss == losses[found.gamma]


def _arguments(made):
    statistics, targets = made
    return statistics, BLOCKS, targets, CLASSES


def test_the_layered_head_depends_only_on_the_data_and_the_seed():
    statistics, targets = make_statistics(60, LAST)
    first, again, other = (
        solve_layered(statistics, BLOCKS, targets, CLASSES, seed=seed) for seed in (3, 3, 4)
    )
    assert first.head.kernel.tobytes() == again.head.kernel.tobytes()
    assert first.compared == again.compared
    assert first.compared != other.compared


def test_gamma_is_chosen_on_few_of_many_examples(tmp_path, monkeypatch):
    statistics, targets = make_statistics(300, FIRST)
    np.save(tmp_path / "statistics.npy", statistics.astype(np.float16))
    mapped = np.load(tmp_path / "statistics.npy", mmap_mode="r")
    monkeypatch.setattr(solving_module, "CROSS_VALIDATED", 60)
    monkeypatch.setattr("kft.linear.layered.CROSS_VALIDATED", 60)
    monkeypatch.setattr(solving_module, "CROSS_VALIDATED_OF_EACH", 40)
    found = solve_layered(mapped, BLOCKS, targets, CLASSES)
    assert found.gamma == 1.0
    assert found.num_compared == 60
    assert found.head.num_cross_validated == 120
    assert np.isfinite(found.head.out_of_fold).all()


def test_a_statistic_without_variation_is_left_out():
    statistics, targets = make_statistics(60, LAST)
    statistics[:, FIRST] = 5
    found = solve_layered(statistics, BLOCKS, targets, CLASSES)
    assert not found.head.kernel[FIRST].any()
    assert found.head.best.score > 0.6


@pytest.mark.parametrize(("word", "outputs"), [("labels", 2), ("number", 2)])
def test_labels_and_numbers_have_layered_heads(word, outputs):
    rng = np.random.default_rng(0)
    statistics = rng.normal(0, 1, (90, 40)).astype(np.float32)
    answers = statistics[:, FIRST] @ rng.normal(0, 1, (8, outputs))
    dense = (answers > 0) if word == "labels" else answers
    targets = LinearTargets(dense.astype(np.float32))
    found = solve_layered(statistics, BLOCKS, targets, find_task(word).linear)
    assert found.gamma == 1.0
    assert found.compared[1.0].loss < 0.8 * found.compared[0.0].loss
