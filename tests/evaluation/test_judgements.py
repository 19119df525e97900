"""The holdout is judged once; whatever judges it again is recorded."""

from __future__ import annotations

import numpy as np
import pytest

from kft.config import DataConfig, Pipeline
from kft.evaluation.judgements import (
    describe_judgements,
    find_overlap,
    read_judgements,
    record_again,
    record_own,
)
from kft.examples import Examples, Files
from kft.runs import RunDirectory
from kft.runs.atomic import write_json, write_text


def make_run(place, name: str, holdout: str = "b.png") -> RunDirectory:
    run = RunDirectory(place / name)
    lines = ["split,id,target", "train,a.png,cat", f"holdout,{holdout},cat", "validation,c.png,dog"]
    write_text(run.splits, "\n".join(lines) + "\n")
    write_json(run.evaluation("holdout") / "metrics.json", {})
    return run


def test_a_judgement_counts_the_runs_before_it_with_the_same_holdout(tmp_path):
    first, _other = make_run(tmp_path, "first"), make_run(tmp_path, "other", "x.png")
    assert read_judgements(first) == ()
    assert describe_judgements(()) == ""
    assert record_own(first, 1).runs_before == 0
    assert describe_judgements(read_judgements(first)) == "once, when the run ended"
    second = make_run(tmp_path, "second")
    assert record_own(second, 1).runs_before == 1
    assert describe_judgements(read_judgements(second)) == "2 times: 1 other run judged it before"
    again = record_again(second, "new/", 7)
    assert again == read_judgements(second)
    assert describe_judgements(again) == (
        "3 times: 1 other run judged it before; again by new/ (7 examples)"
    )


@pytest.mark.parametrize(
    ("other", "names", "expected"),
    [
        ("photos", ("a.png", "b.png", "new.png"), (1, 1)),
        ("photos/../photos", ("c.png",), (1, 0)),
        ("elsewhere", ("a.png", "b.png"), (0, 0)),
    ],
)
def test_examples_of_the_run_are_found_by_the_place_of_their_files(
    tmp_path, other, names, expected
):
    run = make_run(tmp_path, "run")
    for folder in ("photos", "elsewhere"):
        (tmp_path / folder).mkdir()
    pipeline = Pipeline(data=DataConfig(path=str(tmp_path / "photos")))
    examples = Examples(names, Files(names), np.zeros(len(names), np.int64))
    overlap = find_overlap(run, pipeline, str(tmp_path / other), examples)
    assert (overlap.trained, overlap.held) == expected
