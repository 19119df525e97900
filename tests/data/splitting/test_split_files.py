from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest
from made import make_found, names_of

from kft.config import DataConfig, SplitConfig
from kft.data.splitting.split import split_examples
from kft.data.splitting.split_files import write_splits_csv
from kft.errors import DataError
from kft.examples import Examples, Files, Quarantined, Splits
from kft.tasks import find_task


def make_splits(kind, class_names, targets) -> Splits:
    train = Examples(("a,b", "c"), Files(("/a", "/c")), np.asarray(targets))
    none = train.take([])
    return Splits(train, none, none, find_task(kind), class_names, "f", "o")


@pytest.mark.parametrize(
    ("kind", "targets", "written"),
    [
        ("class", [1, 0], ["dog", "cat"]),
        ("labels", [[1.0, 1.0], [0.0, 0.0]], ["cat;dog", ""]),
        ("number", [[0.5, 2.0], [1e9, -3.25]], ["0.5;2", "1e+09;-3.25"]),
        ("number", [[1700000001.0, 0.1], [1 / 3, 0.0]], ["1700000001.0;0.1", f"{1 / 3};0"]),
    ],
)
def test_a_split_is_written_with_targets_as_people_read_them(tmp_path, kind, targets, written):
    write_splits_csv(make_splits(kind, ("cat", "dog"), targets), tmp_path / "splits.csv")
    with open(tmp_path / "splits.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["split", "id", "target"],
        ["train", "a,b", written[0]],
        ["train", "c", written[1]],
    ]


def write(found, path, config=None) -> dict:
    """Split the examples and write the file as a run does; returns the parts."""
    parts = split_examples(found, config or DataConfig())
    write_splits_csv(
        Splits(
            **parts,
            task=found.task,
            class_names=found.class_names,
            fingerprint="f",
            origin="o",
        ),
        path,
    )
    return parts


def take(found, path, **split) -> dict:
    """Split again, according to the file."""
    return split_examples(found, DataConfig(split=SplitConfig(file=str(path), **split)))


RANDOM = np.random.default_rng(0)
TARGETS = {
    "class": np.arange(30) % 3,
    "labels": (RANDOM.random((30, 3)) < 0.5).astype(float),
    "number": RANDOM.normal(size=(30, 2)),
}


@pytest.mark.parametrize("kind", TARGETS)
def test_the_splits_of_a_run_are_taken_by_name_whatever_the_order(tmp_path, kind):
    found = make_found(TARGETS[kind])
    assert found.task.word == kind
    parts = write(found, tmp_path / "splits.csv", DataConfig(split_seed=7))
    again = take(make_found(TARGETS[kind], order=range(29, -1, -1)), tmp_path / "splits.csv")
    assert names_of(again) == names_of(parts)
    assert all(np.array_equal(again[name].targets, parts[name].targets) for name in parts)


def test_names_that_are_hard_to_write_come_back(tmp_path):
    ids = [f"{i}{odd}" for i in range(3) for odd in ('"', ",", "\n", "\t;", " ", "é", "-", "'")]
    ids += [b"\xff\xfe".decode(errors="surrogateescape")]
    found = make_found(np.arange(len(ids)) % 2, ids=ids)
    parts = write(found, tmp_path / "splits.csv")
    assert names_of(take(found, tmp_path / "splits.csv")) == names_of(parts)


def test_labels_may_come_in_another_order(tmp_path):
    found = make_found(TARGETS["labels"])
    parts = write(found, tmp_path / "splits.csv")
    turned = replace(
        found,
        class_names=found.class_names[::-1],
        examples=replace(found.examples, targets=found.examples.targets[:, ::-1]),
    )
    assert names_of(take(turned, tmp_path / "splits.csv")) == names_of(parts)


def test_a_number_may_be_written_in_another_way(tmp_path):
    found = make_found([[0.5], [1.5], [1e9]])
    write(found, tmp_path / "splits.csv")
    text = (tmp_path / "splits.csv").read_text().replace("1e+09", "1000000000.0")
    (tmp_path / "splits.csv").write_text(text)
    assert sum(map(len, take(found, tmp_path / "splits.csv").values())) == 3
    (tmp_path / "splits.csv").write_text(text.replace("1000000000.0", "many"))
    with pytest.raises(
        DataError, match=r"1 of 3 examples differs: 00002 \('many' there, '1e\+09' now\)"
    ):
        take(found, tmp_path / "splits.csv")


def test_every_difference_between_file_and_data_is_named(tmp_path):
    write(make_found(np.arange(30) % 3), tmp_path / "splits.csv")
    targets = np.arange(30) % 3
    targets[4] = 0
    ids = [*(f"{i:05d}" for i in range(28)), "new/1", "new/2"]
    with pytest.raises(DataError) as refusal:
        take(make_found(targets, ids=ids), tmp_path / "splits.csv")
    assert str(refusal.value) == (
        f"data.split.file: {tmp_path / 'splits.csv'} does not fit test.\n"
        "  - 2 of its 30 examples are missing from the data: 00028, 00029. Restore them, or "
        "remove their lines.\n"
        "  - 2 of 30 examples found are not in the file: new/1, new/2. Add a line for each, or "
        "remove them from the data.\n"
        "  - the target of 1 of 30 examples differs: 00004 ('class1' there, 'class0' now). Correct "
        "the data or the lines.\n"
        "Remove data.split.file to make a new split."
    )


def test_an_example_that_was_left_out_meanwhile_is_named_with_the_reason(tmp_path):
    write(make_found([0, 1] * 5), tmp_path / "splits.csv")
    left_out = (Quarantined("00009", "/data/00009", "the file is empty"),)
    with pytest.raises(DataError, match=r"from the data: 00009 \(the file is empty\)\. Restore"):
        take(replace(make_found([0, 1] * 4 + [0]), quarantined=left_out), tmp_path / "splits.csv")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"begins with ''; expected split,id,target"),
        ("path,label\na,b\n", r"begins with 'path,label'; .* set data.table.split_column"),
        ("split,id,target\ntrain,a\n", r"line 2: 2 values; expected 3"),
        ("split,id,target\ntrian,a,b\n", r"line 2: 'trian' is not a split. Did you mean 'train'\?"),
        ("split,id,target\ntrain,a,b\ntrain,a,b\n", r"line 3: 'a' is already in line 2"),
        ('split,id,target\ntrain,"a"b,c\n', r"line 2: .*Use the file as the run wrote it"),
    ],
)
def test_a_file_that_no_run_wrote_is_refused(tmp_path, text, words):
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        take(make_found([0, 1]), tmp_path / "splits.csv")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.csv cannot be read: No such file"):
        take(make_found([0, 1]), tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match=r"cannot be read: Is a directory"):
        take(make_found([0, 1]), tmp_path)


def test_splits_that_the_source_names_may_be_carved_further_but_not_moved(tmp_path):
    given = (("train",) * 5 + ("holdout",) * 3) * 2
    targets = [0] * 8 + [1] * 8
    parts = write(make_found(targets, given=given), tmp_path / "splits.csv")
    assert names_of(take(make_found(targets, given=given), tmp_path / "splits.csv")) == (
        names_of(parts)
    )
    moved = ("holdout", *given[1:5], "train", *given[6:])
    with pytest.raises(
        DataError, match=r"put 2 of 16 examples in different splits: 00000 \(\w+ there"
    ):
        take(make_found(targets, given=moved), tmp_path / "splits.csv")


def test_a_class_that_a_file_leaves_out_of_a_split_is_not_judged_or_refused(tmp_path):
    lines = ["split,id,target", "train,00000,class0", "train,00001,class1", "holdout,00002,class0"]
    (tmp_path / "splits.csv").write_text("\n".join(lines) + "\n")
    assert take(make_found([0, 1, 0]), tmp_path / "splits.csv")["holdout"].ids == ("00002",)
    with pytest.raises(DataError, match=r"class1 is in the train split, but not in holdout.*file"):
        take(make_found([0, 1, 0]), tmp_path / "splits.csv", rare="refuse")
    (tmp_path / "splits.csv").write_text("\n".join(lines).replace("train", "validation"))
    with pytest.raises(DataError, match="no example is in the train split"):
        take(make_found([0, 1, 0]), tmp_path / "splits.csv")
