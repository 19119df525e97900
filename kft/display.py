"""Display of a run's progress."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from kft.printing import printable_lines

# Few lines for a log file, but often enough to show that the run is alive.
PLAIN_INTERVAL_SECONDS = 10.0
# A notebook redraws one line; nobody could read more frequent changes.
NOTEBOOK_INTERVAL_SECONDS = 0.5


class Display:
    """Display of stages and their progress: bars on a terminal, plain lines elsewhere.

    Args:
        console: Console to print on; by default standard error, so that the
            output of a command can be piped.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)

    def stage(self, text: str) -> None:
        """Print a line about a new stage or a finding."""
        # File names are plain text, even if they contain ":cat:".
        self.console.print(printable_lines(text), markup=False, emoji=False)

    @contextmanager
    def track(self, label: str, total: int = 0) -> Iterator[Callable[..., None]]:
        """Show progress while the block runs.

        Args:
            label: Name of the work.
            total: Units of work, if already known.

        Yields:
            Function `advance(done, total=…, note=…)` that sets the units done,
            the units in total, and a short text beside them.
        """
        if self.console.is_terminal:
            yield from self._track_bar(label, total)
        else:
            yield from self._track_lines(label, total, self.stage, PLAIN_INTERVAL_SECONDS)

    def _track_bar(self, label: str, total: int) -> Iterator[Callable[..., None]]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Progress(*columns, console=self.console) as bars:
            task = bars.add_task(label, total=total or None, note="")

            def advance(done: int, total: int | None = None, note: str | None = None) -> None:
                changes: dict[str, object] = {"completed": done}
                if total is not None:
                    changes["total"] = total
                if note is not None:
                    changes["note"] = note
                bars.update(task, **changes)  # type: ignore[arg-type]

            yield advance

    def _track_lines(
        self, label: str, total: int, show: Callable[[str], None], interval: float
    ) -> Iterator[Callable[..., None]]:
        started = shown = time.monotonic()
        state: dict[str, object] = {"done": 0, "total": total, "note": ""}
        # The first unit of work also traces graphs, so the time left is shown from the second on.
        first: tuple[float, int] | None = None

        def advance(done: int, total: int | None = None, note: str | None = None) -> None:
            nonlocal shown, first
            state["done"] = done
            if total is not None:
                state["total"] = total
            if note is not None:
                state["note"] = note
            now = time.monotonic()
            first = first or (now, done)
            if now - shown >= interval:
                shown = now
                show(_progress_line(label, state, first, now))

        yield advance
        elapsed = time.monotonic() - started
        note = f"  {state['note']}" if state["note"] else ""
        self.stage(f"{label}: done in {format_seconds(elapsed)}{note}")


class NotebookDisplay(Display):
    """Display as one live line in a notebook; a click on it shows all earlier messages."""

    def __init__(self) -> None:
        super().__init__()
        self._said: list[str] = []
        self._handle: Any = None

    def stage(self, text: str) -> None:
        """Replace the line by a new one."""
        self._said.append(printable_lines(text))
        self._draw(self._said[-1])

    @contextmanager
    def track(self, label: str, total: int = 0) -> Iterator[Callable[..., None]]:
        """See `Display`."""
        self._draw(f"{label} …")
        yield from self._track_lines(label, total, self._draw, NOTEBOOK_INTERVAL_SECONDS)

    def _draw(self, line: str) -> None:
        from IPython.display import display

        line = printable_lines(line).strip()
        before = html.escape("\n".join(self._said))
        drawn = {
            "text/plain": line,
            "text/html": f"<details><summary><code>{html.escape(line)}</code></summary>"
            f"<pre>{before}</pre></details>",
        }
        if self._handle is None:
            self._handle = display(drawn, raw=True, display_id=True)
        else:
            self._handle.update(drawn, raw=True)


def make_display() -> Display:
    """Make the display for the present environment: a notebook, a terminal, or a pipe."""
    return NotebookDisplay() if Console().is_jupyter else Display()


def _progress_line(
    label: str, state: dict[str, object], first: tuple[float, int], now: float
) -> str:
    done, total = int(str(state["done"])), int(str(state["total"]))
    started, done_first = first
    left = ""
    if done > done_first and total:
        left = f", {format_seconds((now - started) / (done - done_first) * (total - done))} left"
    note = f"  {state['note']}" if state["note"] else ""
    counted = f"{done}/{total}" if total else str(done)
    return f"{label}: {counted}{left}{note}"


def format_seconds(seconds: float) -> str:
    """Format a duration in at most two units.

    >>> [format_seconds(seconds) for seconds in (0.42, 12.3, 185.0, 7800.0)]
    ['0.4 s', '12 s', '3 min 5 s', '2 h 10 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
