from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from kft.config import DataConfig
from kft.config.split_section import SplitConfig
from kft.data.admission.admit import is_carved, sort_out, write_quarantine_csv
from kft.data.found import Found
from kft.errors import DataError
from kft.examples import Examples, Files, Quarantined
from kft.modalities.image.inspection import CheckedPicture
from kft.tasks import find_task

CONFIG = DataConfig()


def make_found(targets, splits=None, **changes) -> Found:
    ids = tuple(f"{i}.jpg" for i in range(len(targets)))
    examples = Examples(ids, Files(tuple(f"/x/{name}" for name in ids)), np.array(targets))
    return Found(examples, splits, find_task("class"), ("ant", "bee"), "folder /x", **changes)


def make_outcomes(digests, likenesses=None, **repaired) -> list[CheckedPicture | Quarantined]:
    """A digest of None is a file that cannot be used."""
    outcomes: list[CheckedPicture | Quarantined] = []
    for i, digest in enumerate(digests):
        name, path = f"{i}.jpg", f"/x/{i}.jpg"
        if digest is None:
            outcomes.append(Quarantined(name, path, "the file is empty"))
        else:
            fields = (name, path, digest, 7, 100 + i)
            likeness = likenesses[i] if likenesses else None
            kind = {"format": "JPEG", "mode": "RGB", "width": 4, "height": 3}
            outcomes.append(CheckedPicture(*fields, **kind, likeness=likeness))
    return outcomes


def test_what_is_left_out_takes_its_place_in_every_column_with_it():
    earlier = Quarantined("labels.csv, line 7", "/x/labels.csv", "no label")
    found = make_found(
        [0, 1, 0, 1],
        groups=("a", "b", "c", "d"),
        times=(1.0, 2.0, 3.0, 4.0),
        quarantined=(earlier,),
    )
    outcomes = make_outcomes(["p", "q", None, "s"])
    outcomes[3] = replace(outcomes[3], path="/cache/3.png", repaired=("TIFF",), noticed=("big",))
    admitted = sort_out(found, outcomes, CONFIG)
    kept = admitted.found
    assert kept.examples.ids == ("0.jpg", "1.jpg", "3.jpg")
    assert kept.examples.inputs.paths == ("/x/0.jpg", "/x/1.jpg", "/cache/3.png")
    assert kept.examples.inputs.stamps == ((7, 100), (7, 101), (7, 103))
    assert kept.examples.targets.tolist() == [0, 1, 1]
    assert kept.groups == ("a", "b", "d") and kept.times == (1.0, 2.0, 4.0)
    assert kept.quarantined == (earlier, outcomes[2])
    assert admitted.digests == ("p", "q", "s")
    assert admitted.count_repaired() == {"TIFF": 1} and admitted.count_noticed() == {"big": 1}


def test_copies_that_leak_or_contradict_are_left_out():
    splits = ("train", "train", "holdout", "holdout", "train", "validation", "train")
    found = make_found([0, 1, 0, 1, 0, 1, 0], splits)
    admitted = sort_out(found, make_outcomes(["p", "q", "p", "s", "t", "t", "u"]), CONFIG)
    assert admitted.found.examples.ids == ("1.jpg", "2.jpg", "3.jpg", "6.jpg")
    assert admitted.found.given_splits == ("train", "holdout", "holdout", "train")
    reasons = {bad.name: bad.reason for bad in admitted.found.quarantined}
    assert reasons["0.jpg"] == "the same picture as 2.jpg, which is in the holdout split"
    assert "same picture as 5.jpg, which is labelled 'bee', not 'ant'" in reasons["4.jpg"]
    assert "same picture as 4.jpg, which is labelled 'ant', not 'bee'" in reasons["5.jpg"]


def test_pictures_that_look_the_same_are_told_by_their_new_places():
    outcomes = make_outcomes([None, "p", "q", "r", "s", "s"], [0, 5, 2**32 - 1, 4, None, None])
    admitted = sort_out(make_found([0, 0, 1, 0, 1, 1]), outcomes, CONFIG)
    assert set(admitted.alike) == {(0, 2), (3, 4)}


def test_bad_files_are_named_by_reason_where_the_user_wants_to_stop():
    found = make_found([0, 1] * 10)
    outcomes = make_outcomes([None] * 11 + list("abcdefghi"))
    stop = DataConfig(on_invalid_file="stop")
    with pytest.raises(DataError, match="11 of 20 pictures cannot be used") as caught:
        sort_out(found, outcomes, stop)
    assert "data.on_invalid_file=quarantine" in str(caught.value)
    assert str(caught.value).count("the file is empty") == 1
    assert "- 11 times: the file is empty" in str(caught.value)
    assert "and 8 more" in str(caught.value)
    with pytest.raises(DataError, match=r"2 of 4 pictures(.|\n)*which is in the holdout"):
        splits = ("train", "train", "holdout", "holdout")
        sort_out(make_found([0, 1, 0, 1], splits), make_outcomes("pqpq"), stop)
    assert len(sort_out(found, make_outcomes("abcdefghijklmnopqrst"), stop).checked) == 20


def test_a_class_of_which_nothing_is_left_is_refused():
    found = make_found([0, 0, 1, 1])
    with pytest.raises(DataError, match=r"no picture of class bee can be used") as caught:
        sort_out(found, make_outcomes(["p", "q", None, None]), CONFIG)
    assert "  - 2.jpg: the file is empty" in str(caught.value)
    with pytest.raises(DataError, match="Nothing is left"):
        sort_out(found, make_outcomes([None] * 4), CONFIG)


def test_a_class_whose_training_pictures_are_all_in_the_holdout_is_refused():
    found = make_found([0, 1, 1, 0, 1, 1], ("train",) * 3 + ("holdout",) * 3)
    with pytest.raises(DataError, match=r"class bee in the train split can be used") as caught:
        sort_out(found, make_outcomes("pqrsqr"), CONFIG)
    assert "  - 1.jpg: the same picture as 4.jpg, which is in the holdout" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "config", "expected"),
    [
        (None, {}, True),
        (None, {"validation": 0.0}, True),
        (None, {"validation": 0.0, "holdout": 0.0}, False),
        (("train", "holdout"), {}, True),
        (("train", "holdout"), {"validation": 0.0}, False),
        (("validation", "holdout"), {}, False),
        (("train", "holdout"), {"split": SplitConfig(folds=3)}, True),
        (None, {"split": SplitConfig(near_duplicates="ignore")}, False),
        (None, {"split": SplitConfig(file="splits.csv")}, False),
    ],
)
def test_looks_are_compared_only_where_a_split_is_made(given, config, expected):
    assert is_carved(make_found([0, 1], given), DataConfig(**config)) is expected


def test_what_is_quarantined_is_written_by_name_and_reason(tmp_path):
    path = tmp_path / "quarantine.csv"
    write_quarantine_csv((), path)
    assert not path.exists()
    names = ["a.jpg", 'new\nline, and "quotes".jpg', "é.jpg"]
    write_quarantine_csv([Quarantined(name, f"/x/{name}", "bad, very") for name in names], path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["file", "reason"], *([name, "bad, very"] for name in names)]
