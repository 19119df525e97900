"""Run directories and the cache: layout, manifest, checkpoints, locks, atomic writes."""

from __future__ import annotations

from kft.runs.layout import (
    RunDirectory,
    check_run_is_new,
    create_run,
    find_finished,
    find_run,
    find_runs,
    find_started,
    is_run,
    open_interrupted,
    open_run,
)
from kft.runs.manifest import describe_process, package_versions

__all__ = [
    "RunDirectory",
    "check_run_is_new",
    "create_run",
    "describe_process",
    "find_finished",
    "find_run",
    "find_runs",
    "find_started",
    "is_run",
    "open_interrupted",
    "open_run",
    "package_versions",
]
