"""What comes in any order is handed on in its own; what does not come is an error."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kft.data.input.arrivals import StepError, put_in_order


def order(source, steps, *, room=16, patience=60.0, **options) -> list[str]:
    return list(put_in_order(source, steps, room=room, patience_seconds=patience, **options))


def name_each(steps):
    return [(step, f"value {step}") for step in steps]


@given(st.permutations(range(4, 24, 2)))
def test_any_order_becomes_the_order_of_the_steps(came):
    steps = range(4, 24, 2)
    assert order(lambda: name_each(came), steps) == [f"value {step}" for step in steps]


def test_no_steps_give_nothing():
    assert order(list, range(0)) == []


def test_no_more_is_received_ahead_than_a_step_needs():
    received = [threading.Event() for _ in range(100)]

    def source():
        for step in range(100):
            received[step].set()
            yield step, step

    values = put_in_order(source, range(100), room=16, patience_seconds=60.0)
    for step in range(60):
        assert next(values) == step
        # Four are kept; only when one of them is taken is another one asked for.
        assert received[step + 4].wait(60.0)
        assert not received[step + 5].is_set()


def test_a_step_that_others_overtake_is_lost():
    came = [step for step in range(100) if step != 3]
    with pytest.raises(StepError) as caught:
        order(lambda: name_each(came), range(100), room=8, patience=0.1)
    assert caught.value.step == 3
    assert str(caught.value) == (
        "lost step 3: 8 later ones have come, and it has not within 0 seconds"
    )


def test_a_step_that_is_only_slow_is_waited_for():
    # As many come before it as there is room for, but for one place.
    came = [*range(1, 16), 0, *range(16, 40)]
    assert order(lambda: name_each(came), range(40), patience=0.1) == [
        f"value {step}" for step in range(40)
    ]


def test_a_step_that_is_missing_at_the_end_is_lost():
    with pytest.raises(StepError, match="lost step 9: all that it had has come"):
        order(lambda: name_each(range(9)), range(10))


@pytest.mark.parametrize("came", [[0, 1, 1], [0, 1, 0], [0, 2, 2], [0, 1, 7]])
def test_a_step_that_comes_twice_or_was_not_asked_for_is_an_error(came):
    with pytest.raises(StepError, match=f"delivered step {came[-1]} twice"):
        order(lambda: name_each(came), range(5))


@pytest.fixture
def silent():
    """A source that yields its first two steps and then nothing, until the test is over."""
    is_over = threading.Event()

    def source():
        yield from name_each(range(2))
        is_over.wait()

    yield source
    is_over.set()


def test_silence_is_an_error_when_patience_ends(silent):
    with pytest.raises(StepError, match="lost step 2: nothing has come for"):
        order(silent, range(5), patience=0.1)


def test_silence_is_an_error_as_soon_as_the_source_is_gone(silent):
    with pytest.raises(StepError, match="lost step 2: its dispatcher no longer answers"):
        order(silent, range(5), patience=0.3, is_there=lambda: False)


def test_a_source_that_may_wait_is_stopped_and_another_one_is_not(silent):
    stopped = []
    with pytest.raises(StepError):
        order(silent, range(5), patience=0.1, stop=lambda: stopped.append("silent"))
    order(lambda: name_each(range(5)), range(5), stop=lambda: stopped.append("at its end"))
    assert stopped == ["silent"]


def test_what_the_source_raises_comes_through():
    def source():
        yield 0, "value"
        raise OSError("no more")

    values = put_in_order(source, range(5), room=16, patience_seconds=60.0)
    with pytest.raises(OSError, match="no more"):
        list(values)


def test_the_source_is_let_go_when_nobody_takes_any_more():
    is_closed = threading.Event()

    def source():
        try:
            yield from name_each(range(100))
        finally:
            is_closed.set()

    values = put_in_order(source, range(100), room=16, patience_seconds=60.0)
    next(values)
    values.close()
    assert is_closed.wait(60.0)
