"""Rates per block, decoupled decay and averages, against independent calculations."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from phases import phase_of

from kft.backbones.record import Block
from kft.config import TrainingConfig
from kft.model import HEAD, BlockTable
from kft.optimization.optimizers import (
    OPTIMIZERS,
    block_rates,
    make_optimizer,
    make_rules,
    reset_optimizer,
)
from kft.strategies import Phase

RATE = 0.01
DECAY = 0.1
# Products with powers of two are exact.
MULTIPLIERS = {"stage3": 0.25, "stage4": 0.5}
TRAINABLE = ("stage3", "stage4", HEAD)


def adafactor_by_hand(gradient: np.ndarray) -> np.ndarray:
    """Compute the first step of algorithm 4, where beta is 0."""
    squares = gradient**2 + 1e-30
    if gradient.ndim > 1:
        rows, columns = squares.mean(axis=-1), squares.mean(axis=-2)
        share = rows / rows.mean(axis=-1, keepdims=True)
        squares = share[..., None] * columns[..., None, :]
    update = gradient / np.sqrt(squares)
    return update / max(1.0, np.sqrt((update**2).mean()))


# Update of the first step per unit of rate, for a gradient g and weights of zero. Adam's bias
# correction leaves the sign of g, apart from its epsilon. SGD's first momentum is the gradient, and
# Nesterov adds 0.9 of it. Lamb's ratio for a variable of zero is 1.
FIRST_UPDATE = {
    "adamw": lambda g: g / (np.abs(g) + 1e-7 / np.sqrt(1 - 0.999)),
    "sgd": lambda g: 1.9 * g,
    "lion": np.sign,
    "lamb": lambda g: g / (np.abs(g) + 1e-7),
    "adafactor": adafactor_by_hand,
}

every_optimizer = pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
by_hand = pytest.mark.parametrize("optimizer", sorted(FIRST_UPDATE))


def config_for(optimizer: str, **changes) -> TrainingConfig:
    plain = {"schedule": "constant", "warmup": 0, "clip_norm": None, "weight_decay": 0.0}
    return TrainingConfig(optimizer=optimizer, **plain | changes)


def phase_for(**changes) -> Phase:
    given = {"learning_rate": RATE, "steps": 10, "steps_per_epoch": 5} | changes
    return phase_of("a", TRAINABLE, batch_norm="trainable", **given)


def make(config, phase, blocks) -> keras.optimizers.Optimizer:
    return make_optimizer(config, phase, blocks, num_examples=20)


def draw(variables, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(0, 1, variable.shape).astype(np.float32) for variable in variables]


@pytest.fixture
def step(tiny_assembled):
    """Function that takes steps with random gradients and returns what changed.

    It returns block -> [(path, before, first gradient, after)].
    """

    def apply(config, phase, *, start_at_zero=False, steps=1):
        blocks = tiny_assembled.blocks
        blocks.set_trainable(phase.scope.trainable, batch_norm=phase.scope.batch_norm)
        variables = tiny_assembled.model.trainable_variables
        starts = [
            np.zeros(v.shape) if start_at_zero else d
            for v, d in zip(variables, draw(variables, 9), strict=True)
        ]
        for variable, start in zip(variables, starts, strict=True):
            variable.assign(start.astype(np.float32))
        before = [variable.numpy().astype(np.float64) for variable in variables]
        optimizer = make(config, phase, blocks)
        for number in range(steps):
            optimizer.apply(draw(variables, number), variables)
        owner = {id(v): block.name for block in blocks.blocks for v in block.variables}
        found: dict[str, list] = {name: [] for name in phase.scope.trainable}
        for variable, start, gradient in zip(variables, before, draw(variables), strict=True):
            row = (variable.path, start, gradient.astype(np.float64), variable.numpy())
            found[owner[id(variable)]].append(row)
        assert all(found.values())
        return found

    return apply


# Rates


@every_optimizer
def test_the_first_update_is_scaled_exactly_by_the_multiplier_of_the_block(step, optimizer):
    full = step(config_for(optimizer), phase_for(), start_at_zero=True)
    scaled = step(config_for(optimizer), phase_for(multipliers=MULTIPLIERS), start_at_zero=True)
    for name in TRAINABLE:
        multiplier = np.float32(MULTIPLIERS.get(name, 1.0))
        for (path, *_, whole), (_, *_, part) in zip(full[name], scaled[name], strict=True):
            assert np.abs(whole).max() > 0
            assert np.array_equal(part, multiplier * whole), path


@every_optimizer
def test_the_update_of_nonzero_weights_is_scaled_by_the_multiplier(step, optimizer):
    full = step(config_for(optimizer), phase_for())
    scaled = step(config_for(optimizer), phase_for(multipliers=MULTIPLIERS))
    for name in TRAINABLE:
        multiplier = MULTIPLIERS.get(name, 1.0)
        for (path, before, _, whole), (*_, part) in zip(full[name], scaled[name], strict=True):
            assert np.allclose(part - before, multiplier * (whole - before), atol=2e-6), path


@by_hand
def test_the_first_update_matches_the_formula(step, optimizer):
    rows = step(config_for(optimizer), phase_for(multipliers=MULTIPLIERS), start_at_zero=True)
    for name in TRAINABLE:
        for path, _, gradient, after in rows[name]:
            expected = -RATE * MULTIPLIERS.get(name, 1.0) * FIRST_UPDATE[optimizer](gradient)
            assert np.allclose(after, expected, rtol=1e-4, atol=1e-9), path


def test_lamb_moves_a_variable_by_the_rate_times_its_norm(step):
    rows = step(config_for("lamb"), phase_for())
    for path, before, _, after in (row for name in TRAINABLE for row in rows[name]):
        moved, length = np.linalg.norm(after - before), np.linalg.norm(before)
        assert moved == pytest.approx(RATE * length, rel=1e-3), path


def test_muon_orthogonalizes_updates_of_kernels_and_uses_adam_for_the_rest(step):
    rows = step(config_for("muon"), phase_for(), start_at_zero=True)
    kernels = 0
    for name in TRAINABLE:
        for path, _, gradient, after in rows[name]:
            update = -after / RATE
            if name == HEAD or gradient.ndim == 1:
                assert np.allclose(np.abs(update), 1, rtol=1e-2), path
                continue
            kernels += 1
            matrix = update.reshape(-1, update.shape[-1])
            singular = np.linalg.svd(matrix, compute_uv=False) / (0.2 * np.sqrt(max(matrix.shape)))
            # Five Newton-Schulz steps bring them near 1, but not exactly to 1.
            assert (singular > 0.3).all(), path
            assert (singular < 1.3).all(), path
    assert kernels == 6


def test_adafactor_keeps_two_vectors_per_kernel(tiny_assembled):
    kernel = tiny_assembled.blocks["stage4"].variables[0]
    tiny_assembled.blocks.set_trainable(TRAINABLE, batch_norm="frozen")
    optimizer = make(config_for("adafactor"), phase_for(), tiny_assembled.blocks)
    optimizer.build([kernel])
    counters = {id(v) for v in [optimizer.iterations, *optimizer.schedule_variables]}
    moments = [v.shape for v in optimizer.variables if id(v) not in counters]
    assert moments == [kernel.shape[:-1], (*kernel.shape[:-2], kernel.shape[-1])]


def test_adafactor_agrees_with_that_of_keras(tiny_assembled):
    """Keras multiplies by the size of the variable, which starts at 1 here."""
    kernel = keras.Variable(np.ones((3, 4, 5), np.float32))
    theirs = keras.Variable(np.ones((3, 4, 5), np.float32))
    reference = keras.optimizers.Adafactor(RATE, relative_step=False)
    blocks = tiny_assembled.blocks
    optimizer = make(config_for("adafactor"), phase_for(), blocks)
    rule = optimizer._rule_by_id[id(blocks[HEAD].variables[0])]
    optimizer._rule_by_id[id(kernel)] = rule
    for number in range(3):
        (gradient,) = draw([kernel], number)
        optimizer.apply([gradient], [kernel])
        reference.apply([gradient], [theirs])
        # The size departs from 1 with each step.
        assert np.allclose(kernel, theirs, atol=RATE * 0.03 * (number + 1)), number


# Decay


@by_hand
def test_weight_decay_uses_the_rate_of_the_block_and_skips_biases_and_norms(step, optimizer):
    phase = phase_for(multipliers=MULTIPLIERS)
    plain = step(config_for(optimizer), phase)
    decayed = step(config_for(optimizer, weight_decay=DECAY), phase)
    counts = {True: 0, False: 0}
    for name in TRAINABLE:
        rate = RATE * MULTIPLIERS.get(name, 1.0)
        for (path, before, _, without), (*_, after) in zip(plain[name], decayed[name], strict=True):
            is_decayed = before.ndim > 1
            counts[is_decayed] += 1
            expected = without - rate * DECAY * before if is_decayed else without
            # Lamb's ratio is computed from the decayed variable.
            tolerance = 2e-4 * RATE * np.abs(before).max() if optimizer != "lamb" else 1e-4
            assert np.allclose(after, expected, atol=tolerance + 2e-6), path
            assert np.allclose(after, without, atol=1e-6) is (not is_decayed), path
    # Kernels: stage3 and stage4 have two and a shortcut each, and the head has its logits.
    assert counts == {True: 7, False: 13}


def test_the_decay_of_a_phase_overrides_that_of_the_pipeline(step):
    with_own = step(config_for("adamw", weight_decay=DECAY), phase_for(weight_decay=0.0))
    without = step(config_for("adamw"), phase_for())
    for name in TRAINABLE:
        for (path, *_, one), (_, *_, other) in zip(with_own[name], without[name], strict=True):
            assert np.array_equal(one, other), path


@by_hand
def test_l2_sp_pulls_backbone_kernels_to_their_start_and_head_kernels_to_zero(step, optimizer):
    """The distance is zero at the start, so only later steps are pulled back."""
    phase = phase_for(multipliers=MULTIPLIERS, weight_decay=DECAY)
    first = step(config_for(optimizer, l2_sp=50.0), phase)
    for name in ("stage3", "stage4"):
        plain = step(config_for(optimizer), phase_for(multipliers=MULTIPLIERS))
        for (path, *_, held), (*_, free) in zip(first[name], plain[name], strict=True):
            assert np.allclose(held, free, atol=1e-7), path
    held = step(config_for(optimizer, l2_sp=50.0), phase, steps=2)
    free = step(config_for(optimizer), phase_for(multipliers=MULTIPLIERS), steps=2)
    once = step(config_for(optimizer), phase_for(multipliers=MULTIPLIERS), steps=1)
    for name in ("stage3", "stage4"):
        rate = RATE * MULTIPLIERS[name]
        for (path, before, _, after), (*_, loose), (*_, at_one) in zip(
            held[name], free[name], once[name], strict=True
        ):
            pull = 50.0 * rate * (at_one - before) if before.ndim > 1 else 0.0
            tolerance = 1e-3 if optimizer == "lamb" else 1e-5
            assert np.allclose(after, loose - pull, atol=tolerance), path
    decayed = step(config_for(optimizer, weight_decay=DECAY), phase_for(), steps=2)
    for (path, *_, with_l2_sp), (*_, without) in zip(held[HEAD], decayed[HEAD], strict=True):
        assert np.array_equal(with_l2_sp, without), path


def test_l2_sp_pulls_to_pretrained_values_after_an_earlier_phase(tiny_assembled):
    blocks, phase = tiny_assembled.blocks, phase_for()
    blocks.set_trainable(phase.scope.trainable, batch_norm=phase.scope.batch_norm)
    variables = tiny_assembled.model.trainable_variables
    pretrained = {
        id(v): np.zeros(v.shape, "float32") for v in tiny_assembled.backbone.model.weights
    }
    before = [variable.numpy() for variable in variables]
    optimizer = make_optimizer(
        config_for("sgd", l2_sp=50.0), phase, blocks, num_examples=20, pretrained=pretrained
    )
    optimizer.apply([np.zeros(v.shape, "float32") for v in variables], variables)
    for variable, start in zip(variables, before, strict=True):
        is_held = start.ndim > 1 and id(variable) in pretrained
        # The rate times the coefficient is one half.
        np.testing.assert_allclose(variable.numpy(), start / 2 if is_held else start, rtol=1e-6)


def test_weight_decay_skips_biases_of_attention_with_two_axes():
    attention = keras.layers.MultiHeadAttention(2, 4)
    attention.build((None, 5, 8), (None, 5, 8))
    table = BlockTable((Block("stage3", (attention,)),))
    rules = make_rules(config_for("adamw", weight_decay=DECAY), phase_for(), table)
    decays = {variable.path: rules[id(variable)].decay for variable in attention.variables}
    assert len(decays) == 8
    assert {path for path, decay in decays.items() if decay} == {
        path for path in decays if path.endswith("kernel")
    }


# Clipping


def test_gradients_are_clipped_by_their_global_norm(step):
    clipped = step(config_for("sgd", clip_norm=0.5), phase_for(), start_at_zero=True)
    gradients = np.concatenate([g.ravel() for rows in clipped.values() for _, _, g, _ in rows])
    share = 0.5 / np.linalg.norm(gradients)
    assert share < 1
    for rows in clipped.values():
        for path, _, gradient, after in rows:
            assert np.allclose(after, -RATE * 1.9 * share * gradient, rtol=1e-4, atol=0), path


# Averages


def test_averages_follow_the_weights_with_growing_momentum(tiny_assembled):
    blocks, momentum = tiny_assembled.blocks, 0.2
    blocks.set_trainable(TRAINABLE, batch_norm="frozen")
    variables = tiny_assembled.model.trainable_variables
    optimizer = make(config_for("adamw", ema=momentum), phase_for(), blocks)
    optimizer.build(variables)
    expected = [variable.numpy() for variable in variables]
    for number in range(5):
        optimizer.apply(draw(variables, number), variables)
        share = min(momentum, (1 + number) / (10 + number))
        expected = [
            share * average + (1 - share) * variable.numpy()
            for average, variable in zip(expected, variables, strict=True)
        ]
    # From the second step on, the configured momentum applies.
    assert 1 / 10 < momentum < 3 / 12
    for variable, average in zip(variables, expected, strict=True):
        assert np.allclose(optimizer.averages[id(variable)], average, atol=1e-6), variable.path
    assert {id(v) for v in optimizer.averages.values()} <= {id(v) for v in optimizer.variables}


# Reset


def test_each_phase_gets_a_fresh_optimizer(tiny_assembled):
    one, other = (make(config_for("adamw"), phase_for(), tiny_assembled.blocks) for _ in range(2))
    assert one is not other
    assert int(one.iterations.numpy()) == 0


@every_optimizer
def test_a_reset_optimizer_is_a_fresh_one(tiny_assembled, optimizer):
    blocks = tiny_assembled.blocks
    blocks.set_trainable(TRAINABLE, batch_norm="frozen")
    variables = tiny_assembled.model.trainable_variables
    config = config_for(optimizer, ema=0.9, l2_sp=0.1, schedule="cosine", warmup="20 percent")
    used = make(config, phase_for(learning_rate=0.3, steps=50), blocks)
    starts = [variable.numpy() for variable in variables]
    for number in range(3):
        used.apply(draw(variables, number), variables)
    for variable, start in zip(variables, starts, strict=True):
        variable.assign(start)
    used.schedule.scale(0.1)
    reset_optimizer(used, learning_rate=RATE, steps=10, warmup_steps=2)
    fresh = make(config, phase_for(), blocks)
    fresh.build(variables)
    assert len(used.variables) == len(fresh.variables)
    for one, other in zip(used.variables, fresh.variables, strict=True):
        assert np.array_equal(one.numpy(), other.numpy()), one.path


def test_l2_sp_still_pulls_to_the_start_of_the_phase_after_a_reset(tiny_assembled):
    blocks = tiny_assembled.blocks
    blocks.set_trainable(TRAINABLE, batch_norm="frozen")
    variables = tiny_assembled.model.trainable_variables
    optimizer = make(config_for("sgd", l2_sp=0.5, ema=0.9), phase_for(learning_rate=1.0), blocks)
    kernel = blocks["stage4"].variables[0]
    start = kernel.numpy()
    optimizer.apply(draw(variables), variables)
    moved = kernel.numpy()
    reset_optimizer(optimizer, learning_rate=1.0, steps=10, warmup_steps=0)
    assert np.array_equal(optimizer.averages[id(kernel)].numpy(), moved)
    optimizer.apply([np.zeros(variable.shape, np.float32) for variable in variables], variables)
    assert np.allclose(kernel.numpy(), (start + moved) / 2, atol=1e-6)


def test_a_loss_scaling_wrapper_is_reset_with_its_optimizer(tiny_assembled):
    blocks = tiny_assembled.blocks
    blocks.set_trainable(TRAINABLE, batch_norm="frozen")
    variables = tiny_assembled.model.trainable_variables
    inner = make(config_for("adamw"), phase_for(), blocks)
    wrapped = keras.optimizers.LossScaleOptimizer(inner, initial_scale=8.0)
    wrapped.build(variables)
    infinite = [np.full(v.shape, np.inf, np.float32) for v in variables]
    wrapped.apply(infinite, variables)
    assert float(wrapped.dynamic_scale.numpy()) == 4.0
    wrapped.apply(draw(variables), variables)
    assert block_rates(wrapped) is inner
    reset_optimizer(wrapped, learning_rate=RATE, steps=10, warmup_steps=0)
    assert float(wrapped.dynamic_scale.numpy()) == 8.0
    assert int(wrapped.step_counter.numpy()) == int(inner.iterations.numpy()) == 0
