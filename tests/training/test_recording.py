"""Pace of checkpoints, and stop requests."""

import os
import signal

import pytest

from kft.training import stopping
from kft.training.epochs import plan_fits
from kft.training.pace import Pace
from kft.training.stopping import Interrupted, StopRequest


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def due_at(every: str, *, steps: int, seconds_per_step: float, cost: float) -> list[int]:
    """Find the steps after which a checkpoint is due."""
    clock = Clock()
    pace = Pace(every, clock)
    due = []
    for step in range(1, steps + 1):
        clock.now += seconds_per_step
        pace.count_step()
        if pace.is_due:
            due.append(step)
            clock.now += cost
            pace.note_written(cost)
    return due


def test_checkpoints_follow_the_given_steps_and_seconds():
    assert due_at("3 steps", steps=10, seconds_per_step=1.0, cost=5.0) == [3, 6, 9]
    assert due_at("4 seconds", steps=10, seconds_per_step=1.0, cost=0.0) == [4, 8]
    assert due_at("never", steps=1000, seconds_per_step=10.0, cost=0.0) == []


@pytest.mark.parametrize("cost", [0.01, 1.0, 30.0])
def test_default_checkpoints_take_at_most_a_twentieth_of_the_time(cost):
    due = due_at("auto", steps=10_000, seconds_per_step=1.0, cost=cost)
    assert due[0] == 10
    assert (len(due) - 1) * cost <= 10_000 / 20 + cost
    # They are as frequent as that limit allows.
    assert due[2] - due[1] <= max(11, 20 * cost + 1)


@pytest.mark.parametrize(
    ("done", "steps", "expected"),
    [
        (0, 10, [(0, 0, 3, 4)]),
        (3, 10, [(3, 0, 1, 1), (4, 1, 3, 4)]),
        (4, 10, [(4, 1, 3, 4)]),
        (9, 10, [(9, 2, 3, 3)]),
        (10, 10, [(10, 2, 3, 2)]),
        (8, 8, []),
    ],
)
def test_the_rest_of_a_phase_is_the_rest_of_its_epoch_and_whole_epochs(done, steps, expected):
    fits = plan_fits(done, steps, 4)
    assert [(f.start, f.epoch, f.end_epoch, f.steps_per_epoch) for f in fits] == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_at_once_by_default(number):
    before = signal.getsignal(number)
    stop = StopRequest()
    with pytest.raises(Interrupted, match=number.name) as caught, stop.listening():
        os.kill(os.getpid(), number)
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) is before


def test_a_deferred_signal_is_noted_and_a_second_ctrl_c_interrupts(monkeypatch):
    stop = StopRequest()
    with stop.listening(), stop.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        # The same Ctrl-C may arrive twice.
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.number == signal.SIGINT
        assert not stop.has_waited_long
        monkeypatch.setattr(stopping, "_ONE_PRESS_SECONDS", 0.0)
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_repeated_sigterm_does_not_interrupt_the_checkpoint(monkeypatch):
    monkeypatch.setattr(stopping, "_ONE_PRESS_SECONDS", 0.0)
    stop = StopRequest()
    with stop.listening(), stop.deferred():
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
        assert stop.number == signal.SIGTERM


def test_a_request_during_a_long_validation_becomes_too_old(monkeypatch):
    monkeypatch.setattr(stopping, "PATIENCE_SECONDS", 0.0)
    stop = StopRequest()
    assert not stop.has_waited_long
    with stop.listening(), stop.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.has_waited_long
