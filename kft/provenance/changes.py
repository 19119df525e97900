"""What differs between a run that has begun and what is asked for now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kft.config import Pipeline
from kft.data import load_splits
from kft.data.loading import check_source
from kft.data.splitting.split_files import format_splits, read_split_lines
from kft.errors import ChangedRunError, DataError
from kft.examples import Progress, Splits
from kft.provenance.places import load_run_pipeline, make_absolute
from kft.runs import RunDirectory
from kft.runs.layout import read_json
from kft.timing import apply_measured, load_measured

# Names that are listed of a change; more are counted.
_SHOWN = 3


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Path and value of everything in nested mappings."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from flatten(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def compare(kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """'NAME: BEFORE -> NOW' of every value that differs.

    Args:
        kind: Comes before each name.
        before: Values by name.
        now: The same names, or others.
    """
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            found = (json.dumps(side.get(name), ensure_ascii=False) for side in (before, now))
            yield f"{kind}{name}: " + " -> ".join(found)


def describe_changes(changes: Sequence[str]) -> str:
    """A line for each."""
    return "\n".join(f"  - {change}" for change in changes)


def find_setting_changes(
    run: RunDirectory, pipeline: Pipeline, *, data: str | None = None
) -> Iterator[str]:
    """Settings that differ from those of a run; a path differs where it leads elsewhere.

    Args:
        run: Has recorded its pipeline.
        pipeline: Its measured settings made values.
        data: Where the run's data are now, if they have moved.
    """
    recorded = load_run_pipeline(run, data=data)
    # Each machine has its own number of threads.
    threads = {"threads": recorded.training.threads}
    asked = pipeline.model_copy(update={"training": pipeline.training.model_copy(update=threads)})
    sides = (recorded, asked)
    before, now = (dict(flatten(make_absolute(side).model_dump(mode="json"))) for side in sides)
    yield from compare("", before, now)


def find_other_data(run: RunDirectory, splits: Splits) -> list[str]:
    """What of the data differs from a run's, where their fingerprints do."""
    if read_json(run.manifest)["data_fingerprint"] == splits.fingerprint:
        return []
    return list(find_data_changes(run, splits))


def find_data_changes(run: RunDirectory, splits: Splits) -> Iterator[str]:
    """What of the data is not as it was when a run began."""
    contents = (run.splits.read_bytes(), format_splits(splits))
    if contents[0] != contents[1]:
        before, now = map(read_split_lines, contents)
        gone, new = sorted(before.keys() - now.keys()), sorted(now.keys() - before.keys())
        moved = sorted(name for name in before.keys() & now.keys() if before[name] != now[name])
        for names, what in ((gone, "gone"), (new, "new"), (moved, "of another split or label")):
            if names:
                more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
                yield f"data: {what}: {', '.join(names[:_SHOWN])}{more}"
    if read_json(run.manifest)["data_fingerprint"] != splits.fingerprint:
        yield "data: files, or what they hold, are others than before"


def check_same_as_finished(
    run: RunDirectory, pipeline: Pipeline, progress: Progress | None = None
) -> None:
    """Refuse to take a finished run for what is asked for now, if that would be another.

    Settings are compared first; then the data are read once. Starts no TensorFlow.

    Args:
        run: Finished.
        pipeline: What is asked for, as the user gave it.
        progress: Called with (files read, files in all).

    Raises:
        ChangedRunError: Settings or data differ; both sides are named.
        DataError: The data are not there, so that nobody can tell.
    """
    replicas = read_json(run.manifest)["hardware"]["replicas"]
    asked = apply_measured(pipeline, load_measured(pipeline), replicas=replicas)
    changes = list(find_setting_changes(run, asked))
    # Data that moved are the same data.
    if all(change.startswith("data.path:") for change in changes):
        try:
            check_source(asked.data)
            found = load_splits(
                asked.data, progress=progress, output_folders=asked.output_folders, decode=False
            )
        except DataError as error:
            raise DataError(
                f"{run.path} is finished, but whether its data are still the same cannot be told. "
                f"{error}"
            ) from None
        other_data = find_other_data(run, found)
        changes = [*changes, *other_data] if other_data else []
    if changes:
        raise ChangedRunError(
            f"{run.path} is finished, but it is not the run that is asked for now.\n"
            f"{describe_changes(changes)}\nPut it back as it was, or begin a new run with another "
            "--run-id."
        )
