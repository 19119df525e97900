"""Differences between the record of a run and the current settings and data."""

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

# Number of names listed for a change; further ones are counted.
_SHOWN = 3


def flatten(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the path and value of each leaf of nested mappings.

    >>> list(flatten({"data": {"path": "photos", "seed": 0}, "name": "run"}))
    [('data.path', 'photos'), ('data.seed', 0), ('name', 'run')]
    """
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from flatten(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def compare(kind: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield 'NAME: BEFORE -> NOW' for each value that differs.

    >>> list(compare("versions.", {"keras": "3.14", "numpy": "2.0"}, {"keras": "3.15"}))
    ['versions.keras: "3.14" -> "3.15"', 'versions.numpy: "2.0" -> null']

    Args:
        kind: Prefix of each name.
        before: Values by name.
        now: Values by name, which may have other names.
    """
    for name in dict.fromkeys([*before, *now]):
        if before.get(name) != now.get(name):
            found = (json.dumps(side.get(name), ensure_ascii=False) for side in (before, now))
            yield f"{kind}{name}: " + " -> ".join(found)


def describe_changes(changes: Sequence[str]) -> str:
    """Format changes as a list, one per line."""
    return "\n".join(f"  - {change}" for change in changes)


def find_setting_changes(
    run: RunDirectory, pipeline: Pipeline, *, data: str | None = None
) -> Iterator[str]:
    """Find the settings that differ from those of a run; paths are compared by their target.

    Args:
        run: Run that has recorded its pipeline.
        pipeline: Current pipeline, after `apply_measured`.
        data: Current path of the run's data, if they have moved.
    """
    recorded = load_run_pipeline(run, data=data)
    # Each machine has its own number of threads.
    threads = {"threads": recorded.training.threads}
    requested = pipeline.model_copy(
        update={"training": pipeline.training.model_copy(update=threads)}
    )
    sides = (recorded, requested)
    before, now = (dict(flatten(make_absolute(side).model_dump(mode="json"))) for side in sides)
    yield from compare("", before, now)


def find_other_data(run: RunDirectory, splits: Splits) -> list[str]:
    """List the changes in the data since a run if their fingerprints differ; else none."""
    if read_json(run.manifest)["data_fingerprint"] == splits.fingerprint:
        return []
    return list(find_data_changes(run, splits))


def find_data_changes(run: RunDirectory, splits: Splits) -> Iterator[str]:
    """Find the changes in splits and files since a run started."""
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
        yield "data: files or their contents have changed"


def check_same_as_finished(
    run: RunDirectory, pipeline: Pipeline, progress: Progress | None = None
) -> None:
    """Refuse a request that names a finished run but has other settings or data.

    Settings are compared first; then the data are read once. TensorFlow is not started.

    Args:
        run: The finished run.
        pipeline: The requested pipeline, as the user wrote it.
        progress: Called with (files read, files in total).

    Raises:
        ChangedRunError: Settings or data differ; the message gives both values.
        DataError: The data are missing, so that they cannot be compared.
    """
    replicas = read_json(run.manifest)["hardware"]["replicas"]
    requested = apply_measured(pipeline, load_measured(pipeline), replicas=replicas)
    changes = list(find_setting_changes(run, requested))
    # Data with another path may be the same data, moved.
    if all(change.startswith("data.path:") for change in changes):
        try:
            check_source(requested.data)
            found = load_splits(
                requested.data,
                progress=progress,
                output_folders=requested.output_folders,
                decode=False,
            )
        except DataError as error:
            raise DataError(
                f"{run.path} is finished, but its data cannot be compared with the current ones. "
                f"{error}"
            ) from None
        other_data = find_other_data(run, found)
        changes = [*changes, *other_data] if other_data else []
    if changes:
        raise ChangedRunError(
            f"{run.path} is finished, but with other settings or data than requested now.\n"
            f"{describe_changes(changes)}\nUndo these changes, or start a new run with another "
            "--run-id."
        )
