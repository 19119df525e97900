from __future__ import annotations

from pathlib import Path

import pytest

from kft.config.schema import DataConfig, TableConfig
from kft.data.table import find_table
from kft.errors import DataError


@pytest.fixture
def write_table(tmp_path, write_picture):
    """Write a table, and the pictures p0.png to p3.png beside it."""
    for number in range(4):
        write_picture(f"p{number}.png")

    def write(text: str, name: str = "table.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / name).write_text(text, encoding=encoding)
        return tmp_path / name

    return write


def find(table: Path, target: str = "auto", **columns):
    return find_table(DataConfig(path=str(table), target=target, table=TableConfig(**columns)))


def refuse(table: Path, message: str, **options):
    with pytest.raises(DataError, match=message):
        find(table, **options)


CLASSES = "path,label\np0.png,dog\np1.png,cat\np2.png,dog\n"


def test_a_column_of_names_gives_classes(write_table):
    found = find(write_table(CLASSES))
    assert (found.target_kind, found.class_names) == ("class", ("cat", "dog"))
    assert found.examples.targets.tolist() == [1, 0, 1]
    assert found.examples.ids == ("p0.png", "p1.png", "p2.png")
    assert all(Path(path).is_file() for path in found.examples.paths)


@pytest.mark.parametrize(
    ("name", "delimiter", "encoding"),
    [("t.csv", ";", "utf-8"), ("t.tsv", "\t", "utf-8"), ("t.csv", ",", "utf-8-sig")],
)
def test_delimiter_and_byte_order_mark_are_understood(write_table, name, delimiter, encoding):
    found = find(write_table(CLASSES.replace(",", delimiter), name, encoding))
    assert found.examples.targets.tolist() == [1, 0, 1]


def test_numbers_in_one_column_are_ambiguous_until_the_target_is_said(write_table):
    table = write_table("path,label\np0.png,10\np1.png,9\np2.png,10\n")
    refuse(table, "Say data.target=class or data.target=number")
    assert find(table, "class").class_names == ("9", "10")
    found = find(table, "number")
    assert (found.target_kind, found.class_names) == ("number", ("label",))
    assert found.examples.targets.tolist() == [[10.0], [9.0], [10.0]]


def test_columns_of_zeros_and_ones_give_labels(write_table):
    table = write_table("file,red,big\np0.png,0,1\np1.png,1,1\n")
    found = find(table, label_columns=("red", "big"))
    assert (found.target_kind, found.class_names) == ("labels", ("red", "big"))
    assert found.examples.targets.tolist() == [[0.0, 1.0], [1.0, 1.0]]


def test_several_columns_of_numbers_give_numbers(write_table):
    found = find(write_table("file,x,y\np0.png,0.5,1\np1.png,1,7\n"), label_columns=("x", "y"))
    assert found.target_kind == "number"


def test_a_split_column_is_kept(write_table):
    table = write_table(
        "path,label,part\np0.png,a,Train\np1.png,b,train\np2.png,a,val\np3.png,b,test\n"
    )
    assert find(table, split_column="part").given_splits == (
        "train",
        "train",
        "validation",
        "holdout",
    )
    bad = write_table("path,label,part\np0.png,a,tarin\np1.png,b,train\n")
    refuse(bad, "line 2: 'tarin' in column 'part' is no split. Allowed: train", split_column="part")


def test_columns_that_are_missing_are_named_with_those_there_are(write_table):
    refuse(write_table("picture,label\np0.png,a\n"), "path or file or filename .*picture, label")
    refuse(write_table(CLASSES), "Did you mean 'label'", label_columns=("lable",))
    refuse(write_table("path,file,label\n1,2,3\n"), "found more than one: path, file")


def test_mistakes_are_named_by_line(write_table):
    refuse(write_table("path,label\np0.png,a\np1.png\n"), "line 3: 1 values for 2 columns")
    refuse(write_table("path,label\np0.png,a\n\np1.png,\n"), r"'label' is blank in 1 of 2 .*line 4")
    refuse(write_table("path,label\np0.png,a\np0.png,b\n"), "line 3: .* already in line 2")
    refuse(write_table("path,label\np0.png,a\n../x.png,b\n"), "line 3: .* lies outside")
    refuse(
        write_table("path,label\np0.png,a\nx.png,b\ny.png,b\n"), "2 of 3 .*line 3: x.png, line 4"
    )
    refuse(
        write_table("path,x,y\np0.png,1,2\np1.png,1,big\n"),
        "line 3: 'big' in column 'y' is no number",
        label_columns=("x", "y"),
    )
    refuse(write_table("path,label\np0.png,nan\np1.png,2\n"), "line 2: 'nan'", target="number")
    refuse(write_table("path,label\np0.png,2\np1.png,1\n"), "a label is 0 or 1", target="labels")


def test_targets_that_cannot_be_learned_are_refused(write_table):
    refuse(write_table("path,label\np0.png,a\np1.png,a\n"), "one class, 'a'")
    table = write_table("path,a,b\np0.png,1,0\np1.png,1,0\n")
    refuse(table, "label 'b' is 0 in every line", label_columns=("a", "b"))
    refuse(table, "needs one label column", target="class", label_columns=("a", "b"))


def test_files_that_are_no_table_are_refused(write_table, tmp_path):
    refuse(tmp_path / "none.csv", "there is no table")
    refuse(write_table("path,label\n"), "no line of data")
    refuse(write_table("path,label,label\na,b,c\n"), "label comes twice")
    refuse(write_table("path,label\nä,b\n", encoding="latin-1"), "not UTF-8")
