"""Learning rates at and between knots, and the reset of a schedule."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from phases import phase_of

from kft.config import TrainingConfig
from kft.errors import ConfigError
from kft.optimization.schedules import SHAPES, PhaseSchedule, make_schedule
from kft.strategies import Phase
from kft.training.callbacks import PLATEAU_EPOCHS, ReduceOnPlateau

RATE = 0.01

every_shape = pytest.mark.parametrize("shape", sorted(SHAPES))


def schedule(shape: str, steps: int, warmup_steps: int, peak: float = RATE) -> PhaseSchedule:
    return PhaseSchedule(shape, peak=peak, steps=steps, warmup_steps=warmup_steps)


def rates(made: PhaseSchedule, *at: int) -> list[float]:
    return [float(made(step)) for step in at]


def test_the_config_lists_exactly_the_shapes():
    allowed = TrainingConfig.model_fields["schedule"].annotation.__args__
    assert set(allowed) == set(SHAPES)


# Knots


def test_the_rate_rises_linearly_to_its_peak_and_falls_to_zero_along_a_cosine():
    first, halfway, peak, middle, end = rates(schedule("cosine", 110, 11), 0, 5, 11, 44, 110)
    assert first == pytest.approx(RATE / 12)
    assert halfway == pytest.approx(RATE / 12 + (RATE - RATE / 12) * 5 / 11)
    assert peak == pytest.approx(RATE)
    assert middle == pytest.approx(RATE * (1 + np.cos(np.pi / 3)) / 2)
    assert end == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("shape", ["constant", "plateau"])
def test_a_constant_rate_stays_at_its_peak_after_the_warmup(shape):
    assert rates(schedule(shape, 100, 10), 0, 10, 55, 99) == pytest.approx(
        [RATE / 11, RATE, RATE, RATE]
    )


def test_one_cycle_rises_and_falls_along_cosines():
    made = schedule("one_cycle", 100, 30)
    assert rates(made, 0, 15, 30, 65, 100) == pytest.approx(
        [RATE / 25, RATE * (1 + 1 / 25) / 2, RATE, RATE * (1 + 1 / 25e4) / 2, RATE / 25e4],
        rel=1e-4,
    )


def test_a_slanted_triangle_rises_and_falls_along_straight_lines():
    low = RATE / 32
    made = schedule("slanted_triangular", 100, 10)
    assert rates(made, 0, 5, 10, 55, 100) == pytest.approx(
        [low, (low + RATE) / 2, RATE, (low + RATE) / 2, low]
    )


def test_step_divides_by_ten_at_three_six_and_nine_tenths():
    made = schedule("step", 100, 5)
    found = rates(made, 0, 5, 29, 30, 59, 60, 89, 90, 99)
    assert found == pytest.approx(
        [RATE / 6] + [RATE] * 2 + [RATE / 10] * 2 + [RATE / 100] * 2 + [RATE / 1000] * 2
    )


@every_shape
def test_without_a_warmup_the_first_step_has_the_full_rate(shape):
    assert rates(schedule(shape, 100, 0), 0) == pytest.approx([RATE])
    assert rates(schedule(shape, 1, 0), 0) == pytest.approx([RATE])


# All steps


@given(st.data())
@settings(deadline=None, max_examples=80)
def test_rates_lie_between_zero_and_the_peak_which_is_reached(data):
    shape = data.draw(st.sampled_from(sorted(SHAPES)))
    steps = data.draw(st.integers(1, 200_000))
    warmup = data.draw(st.integers(0, steps - 1))
    made = schedule(shape, steps, warmup)
    at = data.draw(st.lists(st.integers(0, 2 * steps), min_size=1, max_size=8))
    for rate in rates(made, *at):
        assert 0 <= rate <= RATE * (1 + 1e-6)
    is_stepped = shape == "step" and 10 * warmup >= 3 * steps
    if not is_stepped:
        assert rates(made, warmup)[0] == pytest.approx(RATE, rel=1e-5)
    # After the end the rate is constant.
    last, later = rates(made, steps, 2 * steps)
    assert last == later


@given(st.sampled_from(sorted(SHAPES)), st.integers(2, 60), st.integers(0, 59))
@settings(deadline=None, max_examples=40)
def test_the_rate_rises_in_the_warmup_and_never_after(shape, steps, warmup):
    warmup = min(warmup, steps - 1)
    found = np.array(rates(schedule(shape, steps, warmup), *range(steps)))
    falls = np.diff(found) < -1e-9
    # The first tenths of `step` may lie within a long warmup.
    assert shape == "step" or not falls[:warmup].any()
    assert (np.diff(found)[warmup:] <= 1e-9).all()


# Reset


@every_shape
def test_a_reset_schedule_equals_a_new_one_without_a_new_trace(shape):
    made, traces = schedule(shape, 70, 7), []

    @tf.function
    def rate(step):
        traces.append(step)
        return made(step)

    steps = [tf.constant(step, tf.int64) for step in range(0, 90, 3)]
    [rate(step) for step in steps]
    made.scale(0.5)
    made.reset(peak=0.3, steps=30, warmup_steps=10)
    fresh = schedule(shape, 30, 10, peak=0.3)
    assert [float(rate(step)) for step in steps] == pytest.approx(rates(fresh, *range(0, 90, 3)))
    assert len(traces) == 1


# From the pipeline


def phase(steps: int) -> Phase:
    return phase_of("a", ("head",), RATE, steps, 10)


@pytest.mark.parametrize(
    ("warmup", "steps"),
    [
        ("10 percent", 10),
        ("25%", 25),
        ("7 steps", 7),
        ("2 epochs", 20),
        ("160 examples", 5),
        (0, 0),
    ],
)
def test_a_warmup_is_any_duration(warmup, steps):
    config = TrainingConfig(warmup=warmup, schedule="constant")
    made = make_schedule(config, phase(100), num_examples=320)
    assert made.warmup_steps == steps
    assert rates(made, steps) == pytest.approx([RATE])


def test_a_warmup_as_long_as_the_phase_is_refused():
    with pytest.raises(ConfigError, match=r"training\.warmup: '3 epochs' comes to 30 steps, but p"):
        make_schedule(TrainingConfig(warmup="3 epochs"), phase(30), num_examples=320)


# Plateau


def follow(losses, *, steps_per_epoch=5, warmup_steps=0) -> list[float]:
    """Return the rate after each epoch, relative to the peak."""
    made = schedule("plateau", 1000, warmup_steps)
    callback, found = ReduceOnPlateau(made), []
    for epoch, loss in enumerate(losses):
        for batch in range(steps_per_epoch):
            callback.on_train_batch_end(batch, {"loss": 1.0})
        callback.on_epoch_end(epoch, {"val_loss": loss})
        found.append(float(made(999)) / RATE)
    return found


def test_the_rate_falls_after_two_epochs_without_a_better_loss():
    assert PLATEAU_EPOCHS == 2
    assert follow([1.0, 0.9, 0.95, 0.91, 0.92, 0.93]) == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01])


def test_a_falling_loss_keeps_the_rate_unless_the_fall_is_negligible():
    assert follow([1.0, 0.9, 0.8, 0.7]) == pytest.approx([1, 1, 1, 1])
    assert follow([1.0, 0.99999, 0.99998]) == pytest.approx([1, 1, 0.1])


def test_epochs_of_the_warmup_do_not_count():
    assert follow([1.0, 1.1, 1.2, 1.1, 1.1], warmup_steps=15) == pytest.approx([1, 1, 1, 1, 0.1])
