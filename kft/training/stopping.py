"""Stop requests of the system, handled between two steps, or at once if no work is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Time for a validation in progress to end after a request. After that it is interrupted, and steps
# since the last checkpoint are computed again on resuming.
PATIENCE_SECONDS = 4.0
# A terminal and a launcher may both deliver the same Ctrl-C.
_ONE_PRESS_SECONDS = 1.0


class Interrupted(KeyboardInterrupt):
    """Interruption of the work by the user or the system.

    Attributes:
        exit_code: 128 plus the number of the signal, by the convention of shells.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class StopRequest:
    """Handler of SIGINT and SIGTERM while `listening`.

    By default, the signals raise `Interrupted` at once. Within `deferred` they
    are only noted in `number`, which the caller must check; supervisors repeat
    SIGTERM while they wait, and finally send SIGKILL. A second Ctrl-C raises
    `Interrupted` at once.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._is_deferred = False
        self._requested_at = 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handle the signals within the block; has no effect outside the main thread."""
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
        """Only note signals within the block."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    @property
    def has_waited_long(self) -> bool:
        """Whether a request is too old to wait for the end of a validation."""
        return self.number is not None and time.monotonic() - self._requested_at > PATIENCE_SECONDS

    def _receive(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._is_deferred:
            self.number = number
            raise Interrupted(number)
        if self.number is None:
            self.number, self._requested_at = number, now
        elif number == signal.SIGINT and now - self._requested_at > _ONE_PRESS_SECONDS:
            raise Interrupted(number)
