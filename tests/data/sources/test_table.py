from __future__ import annotations

import csv
import os
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.config import DataConfig, SplitConfig, TableConfig
from kft.data.found import MISSING_WORDS
from kft.data.paths import PathFinder
from kft.data.sources.table import find_table
from kft.errors import DataError


@pytest.fixture
def write_table(tmp_path):
    """Write a table, and the files p0.png to p3.png beside it, whose content does not matter."""
    for number in range(4):
        (tmp_path / f"p{number}.png").write_bytes(b"")

    def write(text: str, name: str = "table.csv", encoding: str = "utf-8") -> Path:
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return write


def find(
    table: Path, target: str = "auto", *, on_invalid_file: str = "quarantine", split=None, **columns
):
    return find_table(
        DataConfig(
            path=str(table),
            target=target,
            on_invalid_file=on_invalid_file,
            split=SplitConfig(**(split or {})),
            table=TableConfig(**columns),
        )
    )


def refusal(table: Path, target: str = "auto", **options) -> str:
    with pytest.raises(DataError) as error:
        find(table, target, **options)
    return str(error.value)


def left_out(found) -> dict[str, str]:
    """Map each line or row that was left out to the reason."""
    return {get_number(bad): bad.reason for bad in found.quarantined}


def get_number(bad) -> str:
    return re.match(r"[\w.]+, line (\d+)(: .+)?$", bad.name, re.DOTALL)[1]


CLASSES = "path,label\np0.png,dog\np1.png,cat\np2.png,dog\n"


def test_a_column_of_names_gives_classes(write_table):
    found = find(write_table(CLASSES))
    assert (found.task.word, found.class_names) == ("class", ("cat", "dog"))
    assert found.examples.targets.tolist() == [1, 0, 1]
    assert found.examples.ids == ("p0.png", "p1.png", "p2.png")
    assert all(Path(path).is_file() for path in found.examples.inputs.paths)
    assert (found.quarantined, found.groups, found.times) == ((), None, None)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(("name", "delimiter"), [("t.csv", ";"), ("t.tsv", "\t"), ("t.csv", ",")])
def test_encodings_line_ends_and_delimiters_are_understood(
    write_table, encoding, line_end, name, delimiter
):
    text = CLASSES.replace("dog", "Hündin").replace(",", delimiter).replace("\n", line_end)
    found = find(write_table(text, name, encoding))
    assert found.class_names == ("Hündin", "cat")
    assert found.examples.targets.tolist() == [0, 1, 0]


def test_quotes_hold_delimiters_line_ends_and_quotes(tmp_path, write_table):
    odd = 'a, "b"\nc.png'
    (tmp_path / odd).write_bytes(b"")
    text = '"a ""note"", and\nmore",path,label\n1,"a, ""b""\nc.png",dog\n2,p1.png,"cat"\n3,gone,cat'
    found = find(write_table(text))
    assert found.examples.ids == (odd, "p1.png")
    assert found.class_names == ("cat", "dog")
    # The row before begins in line 3 and ends in line 4.
    assert left_out(found) == {"6": "there is no such file"}


_CELLS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), include_characters="\n\r\t,;\"'"), max_size=8
)


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(st.tuples(_CELLS, st.sampled_from("ab")), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8-sig", "utf-16"]),
)
def test_whatever_the_csv_module_writes_is_read_row_by_row(
    tmp_path_factory, rows, delimiter, line_end, encoding
):
    folder = tmp_path_factory.mktemp("table")
    with (folder / "t.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(
            file, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL
        )
        writer.writerow(["path", "note", "label"])
        for number, (note, label) in enumerate([*rows, ("", "a"), ("", "b")]):
            (folder / f"{number}.png").write_bytes(b"")
            writer.writerow([f"{number}.png", note, label])
    found = find(folder / "t.csv")
    assert found.examples.ids == tuple(f"{n}.png" for n in range(len(rows) + 2))
    assert [found.class_names[t] for t in found.examples.targets[:-2]] == [r[1] for r in rows]


def test_numbers_in_one_column_are_ambiguous_until_the_target_is_said(write_table):
    table = write_table("path,label\np0.png,10\np1.png,9\np2.png,10\n")
    assert re.search("Set data.target=class or data.target=number", refusal(table))
    assert find(table, "class").class_names == ("9", "10")
    found = find(table, "number")
    assert (found.task.word, found.class_names) == ("number", ("label",))
    assert found.examples.targets.tolist() == [[10.0], [9.0], [10.0]]


def test_columns_of_zeros_and_ones_give_labels(write_table):
    table = write_table("file,red,big\np0.png,0,1\np1.png,1,1\n")
    found = find(table, label_columns=("red", "big"))
    assert (found.task.word, found.class_names) == ("labels", ("red", "big"))
    assert found.examples.targets.tolist() == [[0.0, 1.0], [1.0, 1.0]]


def test_several_columns_of_numbers_give_numbers(write_table):
    table = write_table("file,x,y\np0.png,0.5,2\np1.png,3,7.25\n")
    found = find(table, label_columns=("x", "y"))
    assert (found.task.word, found.notes) == ("number", ())
    assert found.examples.targets.dtype == np.float64


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


def test_groups_are_handed_on(write_table):
    table = write_table("path,label,who\np0.png,a,Eva\np1.png,b,Jo\np2.png,a,Eva\n")
    assert find(table, split={"group_column": "who"}).groups == ("Eva", "Jo", "Eva")


WITH_TIMES = "path,label,when\np0.png,a,{}\np1.png,b,{}\n"


@pytest.mark.parametrize(
    ("written", "times"),
    [
        (("3", "-1e3"), (3.0, -1000.0)),
        (("1970-01-02", "1969-12-31"), (86400.0, -86400.0)),
        (("19700102", "19691231"), (19700102.0, 19691231.0)),
        (("1970-01-01T01:00", "1970-01-01"), (3600.0, 0.0)),
        (("1970-01-01T02:00+02:00", "1970-01-01 00:00:30Z"), (0.0, 30.0)),
    ],
)
def test_times_are_handed_on_as_numbers_that_rise(write_table, written, times):
    table = write_table(WITH_TIMES.format(*written))
    assert find(table, split={"time_column": "when"}).times == times


def test_times_of_several_kinds_have_no_order(write_table):
    table = write_table(WITH_TIMES.format("2024", "2024-05-01"))
    columns = {"time_column": "when"}
    assert re.search(
        r"a number \(2024\) and a date .* \(2024-05-01\)", refusal(table, split=columns)
    )
    table = write_table(WITH_TIMES.format("2024-05-01T00:00Z", "2024-05-01"))
    assert re.search(
        "cannot be ordered together. Write all times in one way", refusal(table, split=columns)
    )


def test_columns_that_are_missing_are_named_with_those_there_are(write_table):
    assert re.search(
        "path or file or filename .*picture, label",
        refusal(write_table("picture,label\np0.png,a\n")),
    )
    assert re.search(
        "Did you mean 'label'", refusal(write_table(CLASSES), label_columns=("lable",))
    )
    assert re.search(
        "found more than one: path, file", refusal(write_table("path,file,label\n1,2,3\n"))
    )
    for key in ("group_column", "time_column"):
        assert re.search(
            f"data.split.{key}: .* no column 'who'",
            refusal(write_table(CLASSES), split={key: "who"}),
        )
    assert re.search(
        "label is repeated", refusal(write_table(CLASSES), label_columns=("label", "label"))
    )


def test_a_table_without_a_header_is_told_so(write_table):
    assert re.search(
        "names a file, so the table has no header", refusal(write_table("p0.png,a\np1.png,b\n"))
    )


def test_bad_rows_are_left_out_by_name(tmp_path, write_table):
    (tmp_path / "folder").mkdir()
    rows = ("p0.png,a", "p1.png", "", "x.png,a", ",a", "p1.png,", "p2.png,b", "folder,b", "a\\b,b")
    found = find(write_table("\n".join(("path,label", *rows))))
    assert found.examples.ids == ("p0.png", "p2.png")
    assert left_out(found) == {
        "3": "1 values for 2 columns; quote values that hold ','",
        "5": "there is no such file",
        "6": "column 'path' is blank",
        "7": "column 'label' is blank",
        "9": "a folder, not a file",
        "10": "there is no such file",
    }
    assert found.quarantined[1].name == "table.csv, line 5: x.png"
    assert found.quarantined[1].path == str(tmp_path / "x.png")
    assert found.quarantined[2].name == "table.csv, line 6"
    assert found.quarantined[2].path == str(tmp_path / "table.csv")


@pytest.mark.parametrize("word", sorted(MISSING_WORDS))
def test_a_word_for_no_value_is_no_label(write_table, word):
    found = find(write_table(CLASSES + f"p3.png,{word}\n"))
    assert found.class_names == ("cat", "dog")
    assert left_out(found)["5"].startswith(f"{word!r} in column 'label' means a missing value")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1,big,train,Jo,2", "'big' in column 'y' is not a finite number"),
        ("inf,1,train,Jo,2", "'inf' in column 'x' is not a finite number"),
        ("1_0,1,train,Jo,2", "'1_0' in column 'x' is not a finite number"),
        ("1,1,tarin,Jo,2", "'tarin' in column 'part' is not a split. Allowed: train, training, "),
        ("1,1,,Jo,2", "'' in column 'part' is not a split"),
        ("1,1,train,,2", "column 'who' is blank"),
        ("1,1,train,nan,2", "'nan' in column 'who' means a missing value"),
        ("1,1,train,Jo,", "column 'when' is blank"),
        ("1,1,train,Jo,May", "'May' in column 'when' is not a time. Allowed: numbers, or dates"),
        ("1,1,train,Jo,2024-02-30", "'2024-02-30' in column 'when' is not a time"),
    ],
)
def test_a_value_of_another_kind_than_its_column_makes_a_bad_row(write_table, row, reason):
    table = write_table(f"path,x,y,part,who,when\np0.png,1,2,train,Eva,1\np1.png,{row}\n")
    columns = {"label_columns": ("x", "y"), "split_column": "part"}
    # Groups and times do not go together.
    key, column = ("time_column", "when") if "when" in reason else ("group_column", "who")
    found = find(table, "number", split={key: column}, **columns)
    assert len(found.examples) == 1
    assert left_out(found)["3"].startswith(reason)


def test_a_label_of_several_is_zero_or_one(write_table):
    table = write_table("path,x,y\np0.png,1,1\np1.png,0,2\n")
    found = find(table, "labels", label_columns=("x", "y"))
    assert "a label is 0 or 1. For amounts set data.target=number" in left_out(found)["3"]


def test_a_picture_listed_twice_alike_counts_once(write_table):
    found = find(write_table(CLASSES + "p0.png,dog\n./x/../p1.png,cat\n"))
    assert found.examples.ids == ("p0.png", "p1.png", "p2.png")
    assert left_out(found) == {"5": "listed already in line 2", "6": "listed already in line 3"}


def test_a_picture_listed_with_different_labels_is_left_out_every_time(write_table):
    found = find(write_table(CLASSES + "p0.png,dog\np0.png,cat\np0.png,dog\n"))
    assert found.examples.ids == ("p1.png", "p2.png")
    assert found.examples.targets.tolist() == [0, 1]
    assert left_out(found) == {
        "2": "listed again in line 6, with another 'label'",
        "5": "listed already in line 2",
        "6": "listed in line 2 too, with another 'label'",
        "7": "listed already in line 2",
    }


def test_a_picture_listed_in_two_splits_is_left_out(write_table):
    text = "path,label,part\np0.png,a,train\np1.png,b,train\np2.png,a,train\np0.png,a,test\n"
    found = find(write_table(text), split_column="part")
    assert found.given_splits == ("train", "train")
    assert left_out(found)["5"] == "listed in line 2 too, with another 'part'"


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(("a", "b", "", "nan")))))
def test_every_row_is_used_or_left_out_and_no_contradicted_picture_is_used(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("table")
    for number in range(6):
        (folder / f"{number}.png").write_bytes(b"")
    lines = [*rows, (4, "a"), (5, "b")]
    text = "".join(f"{number}.png,{label}\n" for number, label in lines)
    (folder / "t.csv").write_text(f"path,label\n{text}")
    found = find(folder / "t.csv")
    assert len(found.examples) + len(found.quarantined) == len(lines)
    numbers = [int(get_number(bad)) for bad in found.quarantined]
    assert numbers == sorted(set(numbers))
    labels = {n: {label for m, label in lines if m == n and label in "ab"} - {""} for n in range(6)}
    assert {
        (name, found.class_names[target])
        for name, target in zip(found.examples.ids, found.examples.targets, strict=True)
    } == {(f"{n}.png", next(iter(of))) for n, of in labels.items() if len(of) == 1}


def test_stop_names_a_reason_once_with_its_count_and_the_first_rows(write_table):
    rows = "".join(f"x{number}.png,a\n" for number in range(12))
    table = write_table(f"path,label\np0.png,a\np1.png,b\n{rows}")
    assert len(find(table).quarantined) == 12
    with pytest.raises(DataError) as error:
        find(table, on_invalid_file="stop")
    message = str(error.value)
    assert "12 of 14 lines cannot be used. Fix or remove them" in message
    assert "data.on_invalid_file=quarantine" in message
    assert message.count("there is no such file") == 1
    assert "\n  - 12 times: there is no such file\n      table.csv, line 4: x0.png\n" in message
    assert message.endswith("\n      and 9 more")


def test_a_table_of_bad_rows_alone_is_refused(write_table):
    assert re.search(
        r"2 of 2 lines(.|\n)*line 2: x.png: there is no such",
        refusal(write_table("path,label\nx.png,a\ny.png,b\n")),
    )
    assert re.search(
        r"2 of 2 lines(.|\n)*listed again", refusal(write_table("path,label\np0.png,a\np0.png,b\n"))
    )


def test_a_class_without_a_usable_row_is_not_lost_in_silence(write_table):
    table = write_table(CLASSES + "x.png,owl\n")
    assert re.search(
        r"no line of class owl can be used(.|\n)*line 5: x.png: there is no such", refusal(table)
    )


def test_targets_that_cannot_be_learned_are_refused(write_table):
    huge = write_table("path,label\np0.png,1e300\np1.png,1\n")
    assert re.search(
        r"line 2: p0.png holds 1e\+300 in 'label'; allowed .* 1e\+150",
        refusal(huge, target="number"),
    )


def test_numbers_keep_every_digit_of_the_table(write_table):
    written = ("1700000001", "48.00057123456", "1e-140")
    rows = "".join(f"p{index}.png,{text}\n" for index, text in enumerate(written))
    found = find(write_table(f"path,label\n{rows}"), target="number")
    assert found.examples.targets.dtype == np.float64
    assert found.examples.targets[:, 0].tolist() == [float(text) for text in written]


def test_files_that_are_no_table_are_refused(write_table, tmp_path):
    assert re.search("there is no table", refusal(tmp_path / "none.csv"))
    assert re.search("there is no table", refusal(tmp_path))
    assert re.search("is empty", refusal(write_table("")))
    assert re.search("no line of data", refusal(write_table("path,label\n")))
    assert re.search("label is repeated", refusal(write_table("path,label,label\na,b,c\n")))
    assert re.search(
        "after line 0: not UTF-8", refusal(write_table("path,label\nä,b\n", encoding="latin-1"))
    )
    text = "path,label\n" + "p0.png,a\n" * 5000 + "ä,b\n"
    assert re.search(
        r"after line [1-9]\d*: not UTF-8 text .*Save it",
        refusal(write_table(text, encoding="latin-1")),
    )
    assert re.search(
        "line 1: holds a zero byte", refusal(write_table("path,label\n", encoding="utf-16-le"))
    )
    (tmp_path / "odd.csv").write_bytes("path,label\n".encode("utf-16") + b"x")
    assert re.search("not UTF-16 text", refusal(tmp_path / "odd.csv"))


def test_a_quote_that_is_never_closed_does_not_swallow_rows(write_table):
    assert re.search(
        "line 5: .*check for an unclosed quote",
        refusal(write_table(CLASSES + 'p3.png,"dog\np1.png,cat\n')),
    )
    assert re.search(
        "line 5: .*double the quotes inside them", refusal(write_table(CLASSES + 'p3.png,"dog"s\n'))
    )
    swallowed = CLASSES + 'p3.png,"dog\n' + "p1.png,cat\n" * 20_000
    assert re.search("line 5: field larger than field limit", refusal(write_table(swallowed)))


def test_columns_without_a_name_do_no_harm(write_table):
    found = find(write_table(",path,label,\n0,p0.png,a,\n1,p1.png,b,\n"))
    assert found.examples.ids == ("p0.png", "p1.png")


# Where paths may lead


@pytest.fixture
def store(tmp_path_factory):
    """A folder elsewhere that holds a.png."""
    folder = tmp_path_factory.mktemp("store")
    (folder / "a.png").write_bytes(b"")
    return folder


def test_paths_that_leave_the_folder_are_bad_unless_its_name_is_given(write_table, store):
    table = write_table(CLASSES + f"{store}/a.png,cat\n/etc/passwd,cat\n")
    reasons = left_out(find(table))
    assert reasons["5"].startswith(f"lies outside {table.parent}, the table's folder. Move")
    assert "data.table.allowed_roots" in reasons["6"]
    found = find(table, allowed_roots=(str(store),))
    assert set(left_out(found)) == {"6"}
    assert found.examples.ids[-1] == found.examples.inputs.paths[-1] == f"{store}/a.png"


def test_links_that_leave_the_folder_are_bad_unless_its_name_is_given(write_table, store):
    table = write_table(CLASSES + "link.png,cat\nlinked/a.png,cat\ninner.png,dog\n")
    (table.parent / "link.png").symlink_to(store / "a.png")
    (table.parent / "linked").symlink_to(store)
    (table.parent / "inner.png").symlink_to("p3.png")
    found = find(table)
    assert found.examples.ids[-1] == "inner.png"
    reasons = left_out(found)
    assert reasons["5"].startswith(f"leads by a link to {store}/a.png, outside {table.parent}")
    assert set(reasons) == {"5", "6"}
    found = find(table, allowed_roots=(str(store),))
    assert found.examples.ids[-3:] == ("link.png", "linked/a.png", "inner.png")
    assert found.examples.inputs.paths[-2] == str(table.parent / "linked/a.png")


def test_a_table_in_a_linked_folder_reads_that_folder(write_table, tmp_path_factory):
    real = write_table(CLASSES + "{}/p0.png,dog\n").parent
    (real / "table.csv").write_text(CLASSES + f"{real}/p3.png,dog\n{real}/p0.png,dog\n")
    link = tmp_path_factory.mktemp("links") / "here"
    link.symlink_to(real)
    found = find(link / "table.csv")
    assert found.examples.ids == ("p0.png", "p1.png", "p2.png", "p3.png")
    assert left_out(found) == {"6": "listed already in line 2"}
    assert found.examples.inputs.paths[3] == str(link / "p3.png")


def test_what_is_no_file_is_named(write_table):
    names = ["dangling.png", "circle.png", "pipe.png", "p0.png/x.png", "n" * 300, "~nobody.png"]
    table = write_table(CLASSES + "".join(f"{name},cat\n" for name in names))
    (table.parent / "dangling.png").symlink_to("gone.png")
    (table.parent / "circle.png").symlink_to("circle.png")
    os.mkfifo(table.parent / "pipe.png")
    assert list(left_out(find(table)).values()) == [
        "a link that leads nowhere",
        "a circular link",
        "a pipe or device, not a file",
        "there is no such file",
        "cannot be accessed (File name too long)",
        "there is no such file",
    ]


def test_the_home_folder_may_be_written_short(write_table, monkeypatch):
    table = write_table(CLASSES + "~/p3.png,cat\n")
    monkeypatch.setenv("HOME", str(table.parent))
    assert find(table).examples.ids[-1] == "p3.png"


# Many rows


def test_memory_grows_with_paths_and_not_with_the_width_of_the_table(tmp_path, monkeypatch):
    # Files for all of them would take longer than all else.
    monkeypatch.setattr(PathFinder, "find_problem", lambda *_: None)
    rows = 4_000

    def measure(width: int) -> float:
        """Measure the peak memory per row, in bytes."""
        table = tmp_path / f"{width}.csv"
        with table.open("w") as file:
            file.write(f"path,label,{','.join(f'c{n}' for n in range(width))}\n")
            for number in range(rows):
                file.write(f"pictures/{number}.png,{number % 5}{',some text' * width}\n")
        tracemalloc.start()
        found = find(table, "class")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found.examples) == rows
        return peak / rows

    narrow, wide = measure(1), measure(40)
    # An id, its place and its path; the cells of the wide table alone would be 2.3 kB.
    assert narrow < 600
    # Of at most 30 other columns a number of 8 bytes and a code of 4, for slices.
    assert wide < 1.1 * narrow + 30 * 12
