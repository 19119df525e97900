"""Provenance of a run: the current location of its files, and changes since it started."""

from __future__ import annotations

from kft.provenance.changes import (
    check_same_as_finished,
    compare,
    describe_changes,
    find_data_changes,
    find_other_data,
    find_setting_changes,
    flatten,
)
from kft.provenance.interrupted import InterruptedRun, read_interrupted
from kft.provenance.places import (
    check_run_data,
    describe_data_set,
    load_run_pipeline,
    make_absolute,
)

__all__ = [
    "InterruptedRun",
    "check_run_data",
    "check_same_as_finished",
    "compare",
    "describe_changes",
    "describe_data_set",
    "find_data_changes",
    "find_other_data",
    "find_setting_changes",
    "flatten",
    "load_run_pipeline",
    "make_absolute",
    "read_interrupted",
]
