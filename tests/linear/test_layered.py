"""A head on several blocks is one linear head on their raw statistics."""

from __future__ import annotations

import numpy as np
import pytest

from kft.linear import LinearTargets, solve_again, solve_layered, solve_linear
from kft.linear import layered as layered_module
from kft.tasks import find_task

CLASSES = find_task("class").linear
LABELS = find_task("labels").linear
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
    return statistics.astype(np.float32), LinearTargets(np.eye(3, dtype=np.float32)[indices])


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


def answer(statistics, head):
    return statistics @ head.kernel + head.bias


# Labels have no discriminants, so that the solved head is alone.
@pytest.mark.parametrize("rows", [30, 90])
@pytest.mark.parametrize("gamma", [0.5, 1.0])
def test_the_folded_head_answers_as_one_on_scaled_statistics(rows, gamma):
    statistics, targets = make_statistics(rows, FIRST)
    folded = solve_layered(statistics, BLOCKS, targets, LABELS, gammas=[gamma])
    scaled = scale_by_hand(statistics, gamma)
    plain = solve_linear(scaled, targets, LABELS)
    assert answer(statistics, folded) == pytest.approx(answer(scaled, plain), abs=5e-3)
    assert folded.out_of_fold == pytest.approx(plain.out_of_fold, abs=5e-2)
    assert folded.loss == pytest.approx(plain.best.loss, rel=1e-3)


def test_gamma_0_is_the_probe_of_the_last_block():
    statistics, targets = make_statistics(60, LAST)
    found = solve_layered(statistics, ((20,), (20,)), targets, LABELS, gammas=[0.0])
    last = solve_linear(statistics[:, LAST], targets, LABELS)
    assert not found.kernel[:20].any()
    assert found.kernel[20:] == pytest.approx(last.kernel, abs=1e-3)
    assert found.loss == pytest.approx(last.best.loss, rel=1e-3)


def test_the_blend_is_the_weighted_mean_of_its_members():
    statistics, targets = make_statistics(60, FIRST)
    blend = solve_layered(statistics, BLOCKS, targets, LABELS, gammas=[0.0, 1.0])
    alone = [solve_layered(statistics, BLOCKS, targets, LABELS, gammas=[g]) for g in (0.0, 1.0)]
    weights = [member.weight for member in blend.members]
    assert sum(weights) == pytest.approx(1)
    for part in ("kernel", "bias", "out_of_fold"):
        mean = sum(w * getattr(head, part) for w, head in zip(weights, alone, strict=True))
        assert getattr(blend, part) == pytest.approx(mean, abs=1e-4)


def test_the_blend_is_at_least_as_good_as_each_member():
    for telling in (FIRST, LAST):
        statistics, targets = make_statistics(90, telling)
        found = solve_layered(statistics, BLOCKS, targets, CLASSES)
        assert found.loss <= min(member.loss for member in found.members) + 1e-3
        methods = [(member.gamma, member.method) for member in found.members]
        assert methods == [(g, m) for g in (0.0, 0.7, 1.0) for m in ("solved", "discriminant")]


def test_the_weights_follow_the_block_that_tells_the_classes():
    def weigh(telling):
        statistics, targets = make_statistics(90, telling)
        found = solve_layered(statistics, BLOCKS, targets, CLASSES)
        assert found.score > 0.6
        return sum(member.weight * member.gamma for member in found.members)

    assert weigh(FIRST) > 0.8
    assert weigh(LAST) < 0.4


def test_the_scale_of_a_block_changes_nothing():
    statistics, targets = make_statistics(60, FIRST)
    larger = statistics * np.repeat([1000.0, 0.01, 3.0], [8, 12, 20]).astype(np.float32)
    small, large = (
        solve_layered(s, BLOCKS, targets, CLASSES, gammas=[0.7]) for s in (statistics, larger)
    )
    assert answer(larger, large) == pytest.approx(answer(statistics, small), abs=5e-2)


def test_the_layered_head_depends_only_on_the_data_and_the_seed():
    statistics, targets = make_statistics(60, LAST)
    first, again, other = (
        solve_layered(statistics, BLOCKS, targets, CLASSES, seed=seed) for seed in (3, 3, 4)
    )
    assert first.kernel.tobytes() == again.kernel.tobytes()
    assert first.members == again.members
    assert first.members != other.members


def test_heads_are_compared_on_a_sample_of_many_examples(tmp_path, monkeypatch):
    statistics, targets = make_statistics(150, FIRST)
    np.save(tmp_path / "statistics.npy", statistics.astype(np.float16))
    mapped = np.load(tmp_path / "statistics.npy", mmap_mode="r")
    whole = solve_layered(statistics, BLOCKS, targets, CLASSES)
    monkeypatch.setattr(layered_module, "COMPARED", 60)
    sampled = solve_layered(mapped, BLOCKS, targets, CLASSES)
    assert (sampled.num_cross_validated, len(sampled.out_of_fold)) == (60, 150)
    assert CLASSES.score(sampled.out_of_fold, targets.dense).mean() > whole.score - 0.1
    monkeypatch.setattr(layered_module, "MAX_HELD", 100)
    alone = solve_layered(mapped, BLOCKS, targets, CLASSES)
    chosen = [(member.gamma, member.method) for member in alone.members if member.weight]
    assert chosen == [(1.0, "solved")]
    assert np.isfinite(alone.out_of_fold).all()


def test_a_statistic_without_variation_is_left_out():
    statistics, targets = make_statistics(60, LAST)
    statistics[:, FIRST] = 5
    found = solve_layered(statistics, BLOCKS, targets, CLASSES)
    assert not found.kernel[FIRST].any()
    assert found.score > 0.6


def test_numbers_have_a_layered_head():
    rng = np.random.default_rng(0)
    statistics = rng.normal(0, 1, (90, 40)).astype(np.float32)
    numbers = statistics[:, FIRST] @ rng.normal(0, 1, (8, 2)) + rng.normal(0, 1, (90, 2))
    targets = LinearTargets(numbers.astype(np.float32))
    found = solve_layered(statistics, BLOCKS, targets, find_task("number").linear)
    assert {member.method for member in found.members} == {"solved"}
    assert found.members[0].weight < 0.1
    assert found.members[-1].loss < 0.8 * found.members[0].loss


@pytest.mark.parametrize("rows", [4, 9])
def test_few_examples_have_a_finite_head(rows):
    statistics, targets = make_statistics(rows, LAST)
    found = solve_layered(statistics, BLOCKS, targets, CLASSES)
    assert np.isfinite(found.kernel).all()
    assert np.isfinite(found.out_of_fold).all()


def test_groups_are_left_out_together():
    rng = np.random.default_rng(0)
    noise = np.repeat(rng.normal(size=(30, 40)), 2, axis=0).astype(np.float32)
    dense = np.eye(2, dtype=np.float32)[np.repeat(rng.integers(0, 2, 30), 2)]
    groups = np.repeat(np.arange(30), 2)
    apart = solve_layered(noise, BLOCKS, LinearTargets(dense), CLASSES)
    together = solve_layered(noise, BLOCKS, LinearTargets(dense, groups=groups), CLASSES)
    assert apart.score > 0.9
    assert together.score < 0.7


@pytest.mark.parametrize("loss", [CLASSES, LABELS])
def test_the_same_members_solved_again_on_the_same_examples_are_the_same_head(loss):
    statistics, targets = make_statistics(60, FIRST)
    found = solve_layered(statistics, BLOCKS, targets, loss)
    kernel, bias = solve_again(statistics, BLOCKS, targets, loss, found.members)
    assert statistics @ kernel + bias == pytest.approx(answer(statistics, found), abs=5e-3)


def test_members_solved_again_without_a_fold_have_not_seen_its_targets():
    statistics, targets = make_statistics(60, FIRST)
    members = solve_layered(statistics, BLOCKS, targets, CLASSES).members
    rows = np.arange(40)
    others = LinearTargets(np.roll(targets.dense, 1, axis=1))
    mixed = LinearTargets(np.concatenate([targets.dense[:40], others.dense[40:]]))
    heads = [
        solve_again(statistics[rows], BLOCKS, each.take(rows), CLASSES, members)
        for each in (targets, mixed)
    ]
    assert np.array_equal(heads[0][0], heads[1][0])
