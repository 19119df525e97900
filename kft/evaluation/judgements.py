"""Record of how often a holdout was judged: each time, the best of the results is luckier."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kft.config import Pipeline
from kft.data.splitting.split_files import read_split_lines
from kft.examples import Examples, Files
from kft.runs import RunDirectory
from kft.runs.atomic import write_json
from kft.runs.layout import read_json

_FILE = "judgements.json"


@dataclass(frozen=True)
class Judgement:
    """One evaluation that saw examples of a run's holdout.

    Attributes:
        time: Time in UTC, ISO 8601.
        by: What judged: 'the run', or the other data that held its examples.
        examples: Number of examples of the holdout.
        runs_before: Number of finished runs that judged the same holdout before.
    """

    time: str
    by: str
    examples: int
    runs_before: int = 0


@dataclass(frozen=True)
class Overlap:
    """Examples of other data that a run knows already.

    Attributes:
        trained: Number that it was trained or validated on.
        held: Number of its holdout.
    """

    trained: int
    held: int


def record_own(run: RunDirectory, num_examples: int) -> Judgement:
    """Record that a run judged its holdout, and how many runs beside it did so before.

    Args:
        run: The run.
        num_examples: Number of examples of the holdout.
    """
    own = run.splits.read_bytes()
    before = 0
    for other in run.path.absolute().parent.iterdir():
        judged, splits = other / "evaluation" / "holdout" / "metrics.json", other / "splits.csv"
        is_other = other.name != run.path.name and judged.is_file()
        before += is_other and splits.is_file() and splits.read_bytes() == own
    judgement = Judgement(_now(), "the run", num_examples, before)
    write_json(_place(run), [asdict(judgement)])
    return judgement


def record_again(run: RunDirectory, by: str, num_examples: int) -> tuple[Judgement, ...]:
    """Record that examples of the holdout were judged again; return all judgements.

    Args:
        run: The run.
        by: The data that held them.
        num_examples: Number of examples of the holdout.
    """
    judgements = (*read_judgements(run), Judgement(_now(), by, num_examples))
    write_json(_place(run), list(map(asdict, judgements)))
    return judgements


def read_judgements(run: RunDirectory) -> tuple[Judgement, ...]:
    """Read the judgements of a run; empty for a run without a holdout, or of an older version.

    Raises:
        RunError: The file is damaged.
    """
    file = _place(run)
    return tuple(Judgement(**each) for each in read_json(file)) if file.is_file() else ()


def find_overlap(run: RunDirectory, pipeline: Pipeline, other: str, examples: Examples) -> Overlap:
    """Find the examples of other data that belong to a run's own, by the places of their files.

    Args:
        run: The run.
        pipeline: Its pipeline.
        other: Path of the other data.
        examples: Examples of the other data.
    """
    is_files = isinstance(examples.inputs, Files)
    lines = read_split_lines(run.splits.read_bytes())
    split_of = _locate(
        pipeline.data.path or "", {name: split for name, (split, _) in lines.items()}, is_files
    )
    found = [
        split_of.get(place) for place in _locate(other, dict.fromkeys(examples.ids, ""), is_files)
    ]
    held = found.count("holdout")
    return Overlap(len(found) - found.count(None) - held, held)


def describe_judgements(judgements: Sequence[Judgement]) -> str:
    """Describe how often a holdout was judged; empty if that is not recorded."""
    if not judgements:
        return ""
    before = judgements[0].runs_before
    by = [f"{each.by} ({each.examples:,} examples)" for each in judgements[1:]]
    times = before + len(judgements)
    text = "once, when the run ended" if times == 1 else f"{times} times"
    if before:
        text += f": {before} other run{'s' * (before > 1)} judged it before"
    if by:
        text += f"{'; ' if before else ': '}again by {', '.join(by)}"
    return text


def _locate(data: str, values: Mapping[str, str], is_files: bool) -> dict[str, str]:
    """Find the place of each example: its file, or the table and its name there."""
    root = Path(data).expanduser().resolve()
    if is_files and not root.is_dir():
        root = root.parent
    return {os.path.normpath(root / name): value for name, value in values.items()}


def _place(run: RunDirectory) -> Path:
    return run.path / "evaluation" / _FILE


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
