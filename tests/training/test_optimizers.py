"""A rate per block and decoupled weight decay, against a computation by hand."""

from __future__ import annotations

import numpy as np
import pytest

from kft.config import TrainingConfig
from kft.model import HEAD
from kft.strategies import Phase
from kft.training.optimizers import make_optimizer, make_schedule

RATE = 0.01
DECAY = 0.1
# Powers of two: their products lose no bit.
MULTIPLIERS = {"stage3": 0.25, "stage4": 0.5}
TRAINABLE = ("stage3", "stage4", HEAD)
# Update of the first step per unit of rate, for a gradient g. Adam's bias correction leaves the
# sign of g, but for its epsilon; SGD's first momentum is the gradient, Nesterov adds 0.9 of it.
FIRST_UPDATE = {
    "adamw": lambda g: g / (np.abs(g) + 1e-7 / np.sqrt(1 - 0.999)),
    "sgd": lambda g: 1.9 * g,
}

both = pytest.mark.parametrize("optimizer", sorted(FIRST_UPDATE))


def config_for(optimizer: str, **changes) -> TrainingConfig:
    plain = {"schedule": "constant", "warmup": 0.0, "clip_norm": None, "weight_decay": 0.0}
    return TrainingConfig(optimizer=optimizer, **plain | changes)


def phase_for(**changes) -> Phase:
    given = {"learning_rate": RATE, "steps": 10, "steps_per_epoch": 5} | changes
    return Phase("a", TRAINABLE, batch_norm="trainable", **given)


@pytest.fixture
def step(tiny_assembled):
    """One step with gradients of noise: block -> [(path, before, gradient, after)]."""

    def apply(config, phase, *, start_at_zero=False):
        blocks = tiny_assembled.blocks
        blocks.set_trainable(phase.trainable, batch_norm=phase.batch_norm)
        variables = tiny_assembled.model.trainable_variables
        random = np.random.default_rng(0)
        gradients = [random.normal(0, 1, v.shape).astype(np.float32) for v in variables]
        for variable in variables:
            start = (
                np.zeros(variable.shape) if start_at_zero else random.normal(1, 1, variable.shape)
            )
            variable.assign(start.astype(np.float32))
        before = [variable.numpy().astype(np.float64) for variable in variables]
        optimizer = make_optimizer(config, phase, blocks)
        optimizer.apply(gradients, variables)
        owner = {id(v): block.name for block in blocks.blocks for v in block.variables}
        found: dict[str, list] = {name: [] for name in phase.trainable}
        for variable, start, gradient in zip(variables, before, gradients, strict=True):
            row = (variable.path, start, gradient.astype(np.float64), variable.numpy())
            found[owner[id(variable)]].append(row)
        assert all(found.values())
        return found

    return apply


@both
def test_the_first_update_of_a_block_is_exactly_its_multiplier_of_the_full_one(step, optimizer):
    full = step(config_for(optimizer), phase_for(), start_at_zero=True)
    scaled = step(config_for(optimizer), phase_for(multipliers=MULTIPLIERS), start_at_zero=True)
    for name in TRAINABLE:
        multiplier = np.float32(MULTIPLIERS.get(name, 1.0))
        for (path, *_, whole), (_, *_, part) in zip(full[name], scaled[name], strict=True):
            assert np.abs(whole).min() > 0
            assert np.array_equal(part, multiplier * whole), path


@both
def test_the_first_update_is_that_of_a_hand(step, optimizer):
    rows = step(config_for(optimizer), phase_for(multipliers=MULTIPLIERS), start_at_zero=True)
    for name in TRAINABLE:
        for path, _, gradient, after in rows[name]:
            expected = -RATE * MULTIPLIERS.get(name, 1.0) * FIRST_UPDATE[optimizer](gradient)
            assert np.allclose(after, expected, rtol=1e-4, atol=0), path


@both
def test_weight_decay_has_the_rate_of_its_block_and_spares_biases_and_norms(step, optimizer):
    config = config_for(optimizer, weight_decay=DECAY)
    rows = step(config, phase_for(multipliers=MULTIPLIERS))
    decayed = spared = 0
    for name in TRAINABLE:
        rate = RATE * MULTIPLIERS.get(name, 1.0)
        for path, before, gradient, after in rows[name]:
            decay = DECAY if before.ndim > 1 else 0.0
            decayed += before.ndim > 1
            spared += before.ndim == 1
            expected = before * (1 - rate * decay) - rate * FIRST_UPDATE[optimizer](gradient)
            assert np.allclose(after, expected, atol=1e-6), path
            without = before - rate * FIRST_UPDATE[optimizer](gradient)
            assert np.allclose(after, without, atol=1e-6) is (not decay), path
    # Kernels: stage3 and stage4 have two and a shortcut, the head its logits.
    assert (decayed, spared) == (7, 13)


def test_the_decay_of_a_phase_comes_before_that_of_the_pipeline(step):
    config = config_for("adamw", weight_decay=DECAY)
    with_own = step(config, phase_for(weight_decay=0.0), start_at_zero=False)
    without = step(config_for("adamw"), phase_for(), start_at_zero=False)
    for name in TRAINABLE:
        for (path, *_, one), (_, *_, other) in zip(with_own[name], without[name], strict=True):
            assert np.array_equal(one, other), path


def test_gradients_are_clipped_by_their_global_norm(step):
    clipped = step(config_for("sgd", clip_norm=0.5), phase_for(), start_at_zero=True)
    gradients = np.concatenate([g.ravel() for rows in clipped.values() for _, _, g, _ in rows])
    share = 0.5 / np.linalg.norm(gradients)
    assert share < 1
    for rows in clipped.values():
        for path, _, gradient, after in rows:
            assert np.allclose(after, -RATE * 1.9 * share * gradient, rtol=1e-4, atol=0), path


def test_each_phase_gets_a_fresh_optimizer(tiny_assembled):
    one, other = (
        make_optimizer(config_for("adamw"), phase_for(), tiny_assembled.blocks) for _ in range(2)
    )
    assert one is not other
    assert int(one.iterations.numpy()) == 0


def rates(steps, *at: int, warmup=0.1, schedule="cosine"):
    config = TrainingConfig(warmup=warmup, schedule=schedule)
    made = make_schedule(config, phase_for(steps=steps))
    return [float(made(step)) for step in at]


def test_the_rate_rises_linearly_to_its_peak_and_falls_to_zero_along_a_cosine():
    first, halfway, peak, middle, end = rates(110, 0, 5, 11, 11 + 99 // 3, 110)
    assert first == pytest.approx(RATE / 12)
    assert halfway == pytest.approx(RATE / 12 + (RATE - RATE / 12) * 5 / 11)
    assert peak == pytest.approx(RATE)
    assert middle == pytest.approx(RATE * (1 + np.cos(np.pi / 3)) / 2)
    assert end == pytest.approx(0, abs=1e-9)


def test_a_constant_rate_stays_at_its_peak_after_the_warmup():
    assert rates(100, 0, 10, 55, 100, schedule="constant") == pytest.approx(
        [RATE / 11, RATE, RATE, RATE]
    )


def test_without_a_warmup_the_first_step_has_the_full_rate():
    assert rates(100, 0, 50, 100, warmup=0) == pytest.approx([RATE, RATE / 2, 0], abs=1e-9)
    # A tenth of 4 steps rounds to none.
    assert rates(4, 0) == pytest.approx([RATE])


def test_a_phase_of_one_step_moves_at_the_full_rate():
    assert rates(1, 0) == pytest.approx([RATE])
