"""What comes in any order, handed on in its own; what does not come is an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

Value = TypeVar("Value")

# Received before it is asked for, where nothing is out of order: to copy one takes no longer than
# a step. What makes them keeps more of them ready.
_AHEAD = 4
# The source is asked whether it is there after this share of the patience, and as often again.
_LOOKS = 3


class StepError(Exception):
    """A step did not come, or not once.

    Attributes:
        step: Which.
        problem: What became of it; `{step}` stands for its name.
    """

    def __init__(self, step: int, problem: str) -> None:
        super().__init__(problem.format(step=f"step {step}"))
        self.step = step
        self.problem = problem


def put_in_order(
    source: Callable[[], Iterable[tuple[int, Value]]],
    steps: range,
    *,
    room: int,
    patience_seconds: float,
    is_there: Callable[[], bool] = lambda: True,
    stop: Callable[[], None] = lambda: None,
) -> Iterator[Value]:
    """The values of `steps`, in this order, each as soon as it and those before it have come.

    What comes early is kept, at most `room` values. Without room for another,
    a step that has not come is lost; while room runs out the source is asked
    ever less often, so that one that is only slow has `patience_seconds`.

    Args:
        source: Called in a thread of its own: (step, value) in any order.
        steps: All that it will yield.
        room: How many values may be kept.
        patience_seconds: How long nothing at all may come.
        is_there: Whether the source can still be reached; asked when it is silent.
        stop: Ends the wait of the source, once nothing more is wanted.

    Raises:
        StepError: A step was lost, or came twice.
        Exception: What the source raises.
    """
    arrivals = _Arrivals(source, steps, room=room, patience_seconds=patience_seconds)
    threading.Thread(target=arrivals.receive, name="arrivals", daemon=True).start()
    try:
        for _ in steps:
            yield arrivals.take(is_there)
    finally:
        if arrivals.close():
            stop()


class _Arrivals(Generic[Value]):
    """What has come and was not yet taken: one thread receives, another one takes."""

    def __init__(
        self,
        source: Callable[[], Iterable[tuple[int, Value]]],
        steps: range,
        *,
        room: int,
        patience_seconds: float,
    ) -> None:
        self._source = source
        self._steps = steps
        self._room = room
        self._patience_seconds = patience_seconds
        self._changed = threading.Condition()
        self._kept: dict[int, Value] = {}
        # Of the step that is wanted next, in `steps`.
        self._place = 0
        self._heard = time.monotonic()
        self._failure: Exception | None = None
        self._num_came = 0
        self._is_over = False
        self._is_closed = False

    def receive(self) -> None:
        """Keep what comes until all has come, or nobody takes it any more."""
        try:
            for step, value in self._source():
                with self._changed:
                    self._keep(step, value)
                    self._wait_for_room()
                    # Not asked for an end: where a part of the source is dead, it has none.
                    if self._is_closed or self._num_came == len(self._steps):
                        break
        except Exception as error:
            self._failure = error
        with self._changed:
            self._is_over = True
            self._changed.notify_all()

    def take(self, is_there: Callable[[], bool]) -> Value:
        """The value of the next step, once it has come."""
        step = self._steps[self._place]
        look_seconds = self._patience_seconds / _LOOKS
        while True:
            with self._changed:
                left = self._patience_seconds - (time.monotonic() - self._heard)
                self._changed.wait_for(
                    lambda: step in self._kept or self._is_over, min(look_seconds, max(left, 0.0))
                )
                if step in self._kept:
                    self._place += 1
                    self._changed.notify_all()
                    return self._kept.pop(step)
                if self._failure is not None:
                    raise self._failure
                if self._is_over:
                    raise StepError(step, "lost {step}: all that it had has come")
                silence = time.monotonic() - self._heard
            if silence >= self._patience_seconds:
                raise StepError(step, f"lost {{step}}: nothing has come for {silence:.0f} seconds")
            # Not under the lock: it may take seconds.
            if silence >= look_seconds and not is_there():
                raise StepError(step, "lost {step}: its dispatcher no longer answers")

    def close(self) -> bool:
        """Let the receiving thread end; True where it may wait for the source."""
        with self._changed:
            self._is_closed = True
            self._kept.clear()
            self._changed.notify_all()
            return not self._is_over and self._num_came < len(self._steps)

    def _keep(self, step: int, value: Value) -> None:
        if step not in self._steps[self._place :] or step in self._kept:
            raise StepError(step, "delivered {step} twice")
        self._kept[step] = value
        self._num_came += 1
        self._heard = time.monotonic()
        self._changed.notify_all()

    def _wait_for_room(self) -> None:
        self._changed.wait_for(lambda: not self._is_next_here() or len(self._kept) < _AHEAD)
        # While nobody took anything, nothing could come.
        self._heard = time.monotonic()
        if self._is_next_here():
            return
        free = self._room - len(self._kept)
        if not free:
            raise StepError(
                self._steps[self._place],
                f"lost {{step}}: {self._room} later ones have come, and it has not within "
                f"{self._patience_seconds:.0f} seconds",
            )
        # Over the last places this adds up to the patience: three quarters of it for the last one,
        # a thousandth for the sixth, so that what is a little out of order costs nothing.
        self._changed.wait_for(lambda: self._is_closed, 3.0 * self._patience_seconds * 4.0**-free)

    def _is_next_here(self) -> bool:
        """Whether nobody waits for a step that has not come."""
        return (
            self._is_closed
            or self._place == len(self._steps)
            or (self._steps[self._place] in self._kept)
        )
