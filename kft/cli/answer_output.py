"""Output of `kft predict`: one answer per file, and remarks about files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeAlias

from kft.cli.records import Form, print_csv, print_records
from kft.cli.tables import make_console, show_table
from kft.examples import Quarantined
from kft.printing import printable

if TYPE_CHECKING:
    from kft.display import Display
    from kft.serving import Answer

# A file as the user named it, and its answer or the reason why there is none.
Outcome: TypeAlias = "tuple[str, Answer | Quarantined]"
DEFAULT_TOP = 3
# Number of files whose remarks are shown one by one; remarks about other files are counted.
_SHOWN_REMARKS = 10


class Report:
    """The messages on standard error during prediction.

    Args:
        display: Shows the messages.

    Attributes:
        num_bad: Number of files without an answer.
    """

    def __init__(self, display: Display) -> None:
        self.num_bad = 0
        self._display = display
        self._num_remarks = 0
        self._more: Counter[str] = Counter()

    def show_ignored(self, ignored: Mapping[str, int]) -> None:
        """Show the number of files in folders that are not pictures."""
        if ignored:
            counted = "; ".join(f"{why}: {count:,}" for why, count in sorted(ignored.items()))
            self._display.stage(f"Ignored: {counted}")

    def add_remark(self, file: str, words: tuple[str, ...]) -> None:
        """Show the remarks about a file, or count them after the first files."""
        self._num_remarks += 1
        if self._num_remarks <= _SHOWN_REMARKS:
            self._display.stage(f"{printable(file)}: {'; '.join(words)}")
        else:
            self._more.update(words)

    def watch(self, outcomes: Iterable[Outcome], total: int | None) -> Iterator[Outcome]:
        """Pass on the outcomes; show and count the files without an answer.

        Args:
            outcomes: One outcome per file.
            total: Number of files, for a progress bar; None shows no progress.
        """
        with ExitStack() as stack:
            advance = None
            if total is not None:
                advance = stack.enter_context(self._display.track("Predicting", total))
            for done, (file, outcome) in enumerate(outcomes, start=1):
                if isinstance(outcome, Quarantined):
                    self.num_bad += 1
                    self._display.stage(f"{printable(outcome.name)}: {outcome.reason}")
                if advance is not None:
                    advance(done)
                yield file, outcome

    def show_rest(self) -> None:
        """Show the number of remarks that were only counted."""
        for word, count in self._more.most_common():
            self._display.stage(f"and {count:,} more: {word}")


def show_answers(outcomes: Iterable[Outcome], top: int | None, form: Form) -> None:
    """Print one record per file; only JSON and CSV include files without an answer.

    Args:
        outcomes: One outcome per file.
        top: Number of classes or labels per file; None for a few in text, and all in records.
        form: Form of the output.
    """
    if form == "json":
        print_records((_describe(file, outcome, top) for file, outcome in outcomes), "json")
    elif form == "csv":
        print_csv(_make_csv_records(outcomes, top))
    else:
        rows = (
            (file, *describe_answer(outcome, top))
            for file, outcome in outcomes
            if not isinstance(outcome, Quarantined)
        )
        show_table(make_console(), ("file", "answer", "also"), rows)


def describe_answer(answer: Answer, top: int | None) -> tuple[str, str]:
    """Describe the answer, and the next most probable names.

    The answer is the chosen class, the labels above 0.5 (or a note that there are none), or all
    numbers.
    """
    chosen = answer.chosen
    if chosen is None:
        return _listed(answer, answer.values), ""
    shown = [name for name, _ in answer.best(max(DEFAULT_TOP, len(chosen)) if top is None else top)]
    # The most probable come first, so the chosen names are the first ones.
    own, others = shown[: len(chosen)], shown[len(chosen) :]
    return _listed(answer, own) or "(none above 0.5)", _listed(answer, others)


def _listed(answer: Answer, names: Iterable[str]) -> str:
    return ", ".join(f"{name} {answer.format(name)}" for name in names)


def _describe(file: str, outcome: Answer | Quarantined, top: int | None) -> dict[str, Any]:
    """Make the JSON values of one file."""
    if isinstance(outcome, Quarantined):
        return {"file": file, "error": outcome.reason}
    chosen = outcome.chosen
    if chosen is None:
        return {"file": file, "values": outcome.values}
    boxes = outcome.boxes
    return {
        "file": file,
        "answer": chosen[0] if outcome.task.has_classes else chosen,
        "values": outcome.values if top is None else dict(outcome.best(top)),
        **({} if boxes is None else {"boxes": boxes}),
    }


def _make_csv_records(outcomes: Iterable[Outcome], top: int | None) -> Iterator[dict[str, Any]]:
    """Make records with equal columns; bad files wait for the first answer, which decides them."""
    waiting: list[dict[str, Any]] = []
    columns: list[str] | None = None
    for file, outcome in outcomes:
        record: dict[str, Any] = {"file": file, "answer": "", "error": ""}
        if isinstance(outcome, Quarantined):
            record["error"] = outcome.reason
            record.update(dict.fromkeys(columns or ()))
        else:
            record["answer"] = ";".join(outcome.chosen or ())
            cells = _make_cells(outcome, top)
            record.update(cells)
            if columns is None:
                columns = list(cells)
                yield from (early | dict.fromkeys(columns) for early in waiting)
                waiting = []
        if columns is None:
            waiting.append(record)
        else:
            yield record
    yield from waiting


def _make_cells(answer: Answer, top: int | None) -> dict[str, Any]:
    """Make columns whose names cannot collide with other columns, whatever classes are called."""
    if top is None or answer.chosen is None:
        return {f"{answer.task.answer_word} {name}": v for name, v in answer.values.items()}
    cells: dict[str, Any] = {}
    for rank, (name, value) in enumerate(answer.best(top), start=1):
        cells |= {f"name_{rank}": name, f"probability_{rank}": value}
    return cells
