"""Contradictory settings of the split are refused before any data are read."""

import pytest

from kft.config import load_pipeline
from kft.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{group_column: a, group_pattern: b}", "data.split: group_column and group_pattern both"),
        ("{file: s.csv, folds: 5, group_column: a}", "remove group_column, folds"),
        ("{file: s.csv, near_duplicates: ignore}", "remove near_duplicates"),
        ("{file: s.csv, fold: 1}", "fold is 1, but folds is not given"),
        ("{time_column: t, group_pattern: b}", "cannot be combined with group_pattern"),
        ("{time_column: t, folds: 5}", "cannot be combined with folds"),
        ("{folds: 5, fold: 5}", "fold must be 0 to 4 with folds 5, found 5"),
        ("{group_pattern: '(a'}", r"group_pattern '\(a' is not a regular expression: missing \)"),
    ],
)
def test_a_split_that_contradicts_itself_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        load_pipeline("photos", [f"data.split={settings}"])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["split.folds=5", "validation=0"], "validation is 0, but split.folds makes"),
        (
            ["split.folds=5", "folders.validation=v"],
            "folders.validation and split.folds both define",
        ),
        (
            ["split.group_column=a", "source=folder"],
            "split.group_column needs a table, but source is folder",
        ),
        (["split.time_column=a", "source=tfds"], "split.time_column needs a table"),
        (
            ["split.group_pattern=a", "validation=0", "holdout=0"],
            "validation 0 and holdout 0 leave nothing to split by split.group_pattern",
        ),
        (
            ["validation=0.5", "holdout=0.5"],
            "validation 0.5 and holdout 0.5 leave nothing to train",
        ),
    ],
)
def test_a_split_that_contradicts_the_rest_of_the_data_is_refused(overrides, words):
    with pytest.raises(ConfigError, match=f"data: {words}"):
        load_pipeline("photos", [f"data.{override}" for override in overrides])


@pytest.mark.parametrize(
    "settings",
    [
        "{group_column: a, folds: 5, fold: 4}",
        "{time_column: t, near_duplicates: ignore}",
        "{group_pattern: '_([a-z]+)_'}",
        "{file: runs/a/b/splits.csv}",
    ],
)
def test_settings_that_do_not_exclude_each_other_are_accepted(settings):
    assert load_pipeline("photos", [f"data.split={settings}"]).data.split
