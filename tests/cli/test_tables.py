"""Tables are aligned on a terminal and have one line per record elsewhere; nothing is cut."""

import csv
import io
import json

import pytest
from rich.console import Console

from kft.cli.records import print_csv, print_document, print_records
from kft.cli.tables import make_console, show_table

LONG = [f"/home/somebody/data_2024/validation/granny_smith/IMG_20240101_HDR_{i}.jpg" for i in "12"]
HEADINGS = ("file", "answer", "share>")


def on_terminal(rows, headings=HEADINGS, width=80) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO())
    show_table(console, headings, rows)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_table_that_fits_is_aligned():
    lines = on_terminal([("a.jpg", "cat", "0.5"), ("bb.jpg", "dog", "10.5")])
    assert lines[1].split() == ["file", "answer", "share"]
    assert [line.index(name) for line, name in zip(lines[3:], ("cat", "dog"), strict=False)] == [
        10
    ] * 2
    assert all(line.endswith("0.5") for line in lines[3:5])


@pytest.mark.parametrize("width", [40, 80])
def test_a_long_name_has_a_separate_line_and_is_never_cut(width):
    lines = on_terminal([(name, "cat", "0.5") for name in LONG], width=width)
    for name in LONG:
        place = lines.index(name)
        assert lines[place + 1].split() == ["cat", "0.5"]
    assert not any("…" in line for line in lines)


def test_a_name_too_long_for_its_column_is_folded_if_other_columns_are_longer():
    lines = on_terminal([("ok", "x" * 100, "y" * 50)])
    assert "".join(lines).count("x") == 100
    assert "".join(lines).count("y") == 50
    assert not any("…" in line for line in lines)


@pytest.mark.parametrize("columns", ["20", "80"])
def test_a_pipe_gets_one_line_per_record_of_any_length(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    # With this variable, rich treats a pipe as a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    name = "long name " * 50
    show_table(make_console(), HEADINGS, [(name, "cat", ""), ("tab\there", "new\nline", "0.5")])
    assert capsys.readouterr().out.split("\n") == [
        "file\tanswer\tshare",
        f"{name}\tcat\t",
        "tab\\there\tnew\\nline\t0.5",
        "",
    ]


def test_names_are_text_and_neither_emoji_nor_markup(capsys):
    name = ":cat:[bold]\x1b[31m.jpg"
    show_table(make_console(), ("file",), [(name,)])
    shown = ":cat:[bold]\\x1b[31m.jpg"
    assert capsys.readouterr().out == f"file\n{shown}\n"
    console = Console(
        width=80, force_terminal=True, color_system=None, file=io.StringIO(), markup=False,
        emoji=False,
    )  # fmt: skip
    show_table(console, ("file",), [(name,)])
    assert shown in console.file.getvalue()


def test_no_table_is_printed_without_records(capsys):
    show_table(make_console(), HEADINGS, [])
    assert capsys.readouterr().out == ""
    assert on_terminal([]) == []


def test_json_has_one_record_per_line_with_unescaped_letters(capsys):
    names = ["Zürich/猫.jpg", "a\tb\nc\x1b.jpg", "caf\udce9.jpg", "\U000e0001"]
    print_records(({"file": name, "value": 0.5} for name in names), "json")
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["file"] for line in lines] == names
    assert "Zürich/猫.jpg" in lines[0]
    assert all(line.isprintable() for line in lines)


def test_json_has_null_for_numbers_that_are_not_finite(capsys):
    print_document({"losses": [1.0, float("nan")], "most": {"of": float("inf")}})
    assert json.loads(capsys.readouterr().out) == {"losses": [1.0, None], "most": {"of": None}}


def test_csv_has_a_line_of_keys_and_one_line_per_record(capsys):
    print_csv(
        [
            {"file": 'a,"b".jpg', "is_fine": True, "value": None, "options": {"alpha": 1.0}},
            {"file": "new\nline.jpg", "is_fine": False, "value": 0.25, "options": {}},
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert list(csv.DictReader(lines)) == [
        {"file": 'a,"b".jpg', "is_fine": "true", "value": "", "options": '{"alpha": 1.0}'},
        {"file": "new\\nline.jpg", "is_fine": "false", "value": "0.25", "options": "{}"},
    ]
