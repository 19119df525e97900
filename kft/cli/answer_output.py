"""What `kft predict` prints: an answer a file, and what is to be said beside the answers."""

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

# A file as it was named, and its answer or why there is none.
Outcome: TypeAlias = "tuple[str, Answer | Quarantined]"
DEFAULT_TOP = 3
# Remarks on files that are shown one by one; those on others are counted.
_SHOWN_REMARKS = 10


class Report:
    """What is said on standard error while files are asked about.

    Args:
        display: Says it.

    Attributes:
        num_bad: Files without an answer.
    """

    def __init__(self, display: Display) -> None:
        self.num_bad = 0
        self._display = display
        self._num_remarks = 0
        self._more: Counter[str] = Counter()

    def say_ignored(self, ignored: Mapping[str, int]) -> None:
        """Count what lies in folders and is no picture."""
        if ignored:
            counted = "; ".join(f"{why}: {count:,}" for why, count in sorted(ignored.items()))
            self._display.stage(f"Ignored: {counted}")

    def add_remark(self, file: str, words: tuple[str, ...]) -> None:
        """Say what is worth a word about a file; of many files only count it."""
        self._num_remarks += 1
        if self._num_remarks <= _SHOWN_REMARKS:
            self._display.stage(f"{printable(file)}: {'; '.join(words)}")
        else:
            self._more.update(words)

    def watch(self, outcomes: Iterable[Outcome], total: int | None) -> Iterator[Outcome]:
        """The outcomes, as they come; those without an answer are said and counted.

        Args:
            outcomes: One a file.
            total: How many there are, where progress is to be shown.
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

    def say_rest(self) -> None:
        """Count the remarks that were not shown."""
        for word, count in self._more.most_common():
            self._display.stage(f"and of {count:,} more: {word}")


def show_answers(outcomes: Iterable[Outcome], top: int | None, form: Form) -> None:
    """Print a record a file: as JSON or CSV with those without an answer, as text without them.

    Args:
        outcomes: One a file.
        top: Classes or labels of each; None for a few in text, and for all in records.
        form: How.
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
    """The answer in words, and the next best.

    Of numbers all are the answer; of labels those above one half, or a word that none is.
    """
    chosen = answer.chosen
    if chosen is None:
        return _listed(answer, answer.values), ""
    shown = [name for name, _ in answer.best(max(DEFAULT_TOP, len(chosen)) if top is None else top)]
    # The best come first, so these are the first of them.
    own, others = shown[: len(chosen)], shown[len(chosen) :]
    return _listed(answer, own) or "(none above 0.5)", _listed(answer, others)


def _listed(answer: Answer, names: Iterable[str]) -> str:
    return ", ".join(f"{name} {answer.format(name)}" for name in names)


def _describe(file: str, outcome: Answer | Quarantined, top: int | None) -> dict[str, Any]:
    """JSON values of one file."""
    if isinstance(outcome, Quarantined):
        return {"file": file, "error": outcome.reason}
    chosen = outcome.chosen
    if chosen is None:
        return {"file": file, "values": outcome.values}
    return {
        "file": file,
        "answer": chosen[0] if outcome.task.has_classes else chosen,
        "values": outcome.values if top is None else dict(outcome.best(top)),
    }


def _make_csv_records(outcomes: Iterable[Outcome], top: int | None) -> Iterator[dict[str, Any]]:
    """Records of equal columns, which the first answer tells; until then bad files wait."""
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
    """Columns of names that cannot be those of others, whatever a class is called."""
    if top is None or answer.chosen is None:
        return {f"{answer.task.answer_word} {name}": v for name, v in answer.values.items()}
    cells: dict[str, Any] = {}
    for rank, (name, value) in enumerate(answer.best(top), start=1):
        cells |= {f"name_{rank}": name, f"probability_{rank}": value}
    return cells
