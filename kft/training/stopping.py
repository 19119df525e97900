"""Requests of the system to stop: heeded between two steps, or at once where nothing is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Of a validation in progress when the request comes; what comes after the last checkpoint is
# then computed once more.
PATIENCE_SECONDS = 4.0
# Terminal and launcher may both deliver one Ctrl-C.
_ONE_PRESS_SECONDS = 1.0


class Interrupted(KeyboardInterrupt):
    """The user or the system stopped the work.

    Attributes:
        exit_code: 128 and the number of the signal, as shells count.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class StopRequest:
    """SIGINT and SIGTERM, while `listening`.

    By default they raise `Interrupted` where they come. Within `deferred` they
    are only noted, for whoever looks at `number`: supervisors repeat SIGTERM
    while they wait, and end what does not heed it by SIGKILL. A person who
    presses Ctrl-C once more is heeded at once.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._is_deferred = False
        self._asked = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Receive the signals in place of whoever did; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        for number in before:
            signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only note what comes."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    @property
    def has_waited_long(self) -> bool:
        """Whether the request is so old that the step after the present one must not be awaited."""
        return self.number is not None and time.monotonic() - self._asked > PATIENCE_SECONDS

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._is_deferred:
            self.number = number
            raise Interrupted(number)
        if self.number is None:
            self.number, self._asked = number, now
        elif number == signal.SIGINT and now - self._asked > _ONE_PRESS_SECONDS:
            raise Interrupted(number)
