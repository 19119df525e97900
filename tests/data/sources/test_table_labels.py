"""Interpretation of label columns of a table, and of words in them."""

from __future__ import annotations

import pytest

from kft.config import DataConfig, TableConfig
from kft.data.sources.table import find_table
from kft.errors import DataError


@pytest.fixture
def find(tmp_path):
    """Read the label columns x and y of a table with these cells; the pictures are empty files."""

    def read(rows, target="auto", columns=("x", "y")):
        lines = [f"path,{','.join(columns)}"]
        for number, cells in enumerate(rows):
            (tmp_path / f"{number}.png").write_bytes(b"")
            lines.append(f"{number}.png,{','.join(cells)}")
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
        table = TableConfig(label_columns=columns)
        return find_table(DataConfig(path=str(tmp_path / "t.csv"), target=target, table=table))

    return read


PAIRS = [("True", "False"), ("TRUE", "FALSE"), ("true", "false"), ("t", "f"), ("T", "F")]
PAIRS += [("yes", "no"), ("Yes", "No"), ("y", "n"), ("Y", "N")]


@pytest.mark.parametrize("target", ["auto", "labels"])
@pytest.mark.parametrize(("yes", "no"), PAIRS)
def test_words_for_yes_and_no_are_1_and_0_and_counted(find, yes, no, target):
    found = find([(yes, no), (yes, yes), (no, yes)], target)
    assert found.task.word == "labels"
    assert found.examples.targets.tolist() == [[1, 0], [1, 1], [0, 1]]
    pair = f"{yes}/{no}".lower()
    assert found.notes == (f"6 cells {pair} in x, y read as 1 and 0.",)


def test_a_column_that_mixes_words_is_named(find):
    found = find([("yes", "1"), ("1", "1"), ("f", "0")])
    assert found.examples.targets.tolist() == [[1, 1], [1, 1], [0, 0]]
    assert found.notes[-1] == ("column 'x' mixes cells of t/f (1), yes/no (1), numbers (1).")


def test_words_are_no_amounts_and_other_words_are_no_labels(find):
    found = find([("2", "1.5"), ("yes", "1")], "number")
    assert [bad.reason for bad in found.quarantined] == [
        "'yes' in column 'x' is not a finite number"
    ]
    found = find([("1", "0"), ("1", "1"), ("uncertain", "1"), ("", "1"), ("nan", "0")], "labels")
    assert len(found.examples) == 2
    assert [bad.reason[:9] for bad in found.quarantined] == ["'uncertai", "column 'x", "'nan' in "]


def test_one_column_of_words_is_classes(find):
    found = find([("yes",), ("no",)], columns=("x",))
    assert (found.task.word, found.class_names, found.notes) == ("class", ("no", "yes"), ())
    found = find([("yes",), ("no",)], "labels", columns=("x",))
    assert (found.task.word, found.examples.targets.tolist()) == ("labels", [[1.0], [0.0]])


def test_one_hot_columns_are_classes_and_a_row_of_two_is_left_out_where_they_are_asked_for(find):
    rows = [("True", "False"), ("False", "True"), ("False", "True")]
    found = find(rows)
    assert (found.task.word, found.class_names) == ("class", ("x", "y"))
    assert found.examples.targets.tolist() == [0, 1, 1]
    assert "read as 2 classes" in found.notes[-1]
    found = find([*rows, ("True", "True"), ("False", "False")], "class")
    assert found.examples.targets.tolist() == [0, 1, 1]
    assert [bad.name for bad in found.quarantined] == [
        "t.csv, line 5: 3.png",
        "t.csv, line 6: 4.png",
    ]


def test_a_typo_among_labels_is_named_by_its_line(find):
    rows = [(str(i % 2), str(i % 3 % 2)) for i in range(60)]
    rows[28] = ("0", "2")
    with pytest.raises(DataError, match=r"119 are 0 or 1 and 1 is not") as error:
        find(rows)
    assert "t.csv, line 30: 28.png: 2 in 'y'" in str(error.value)
    found = find(rows, "labels")
    assert [bad.name for bad in found.quarantined] == ["t.csv, line 30: 28.png"]
    assert find(rows, "number").task.word == "number"


@pytest.mark.parametrize(
    ("cells", "named"),
    [
        (["23", "31", "unknown", "45"], "line 4: 2.png: 'unknown'"),
        (["1", "2", "3", "1O"], "line 5: 3.png: '1O'"),
        (["0,5", "1,25", "2,0", "old"], "line 5: 3.png: 'old'"),
    ],
)
def test_one_column_of_numbers_with_a_word_in_it_is_not_taken_for_classes(find, cells, named):
    rows = [(f'"{cell}"',) for cell in cells]
    with pytest.raises(DataError, match=r"numbers in 3 of 4 lines.* classes or amounts") as error:
        find(rows, columns=("x",))
    assert named in str(error.value)
    assert len(find(rows, "class", columns=("x",)).class_names) == 4


def test_names_with_a_number_among_them_are_classes(find):
    assert find([("cat",), ("dog",), ("7",)], columns=("x",)).class_names == ("7", "cat", "dog")
