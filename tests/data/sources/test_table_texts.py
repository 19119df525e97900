"""Tables that hold texts in their own columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kft.config import DataConfig, TableConfig
from kft.data import load_splits
from kft.data.sources.table import find_table
from kft.errors import DataError
from kft.examples import Values

RECORDS = [
    {"text": "a fine film", "label": "good", "title": "One"},
    {"text": 'an "odd", long\nline', "label": "bad", "title": ""},
    {"text": "dull", "label": "bad", "title": "Three"},
]


def configure(path: Path, modality: str = "auto", **columns) -> DataConfig:
    return DataConfig(path=str(path), modality=modality, table=TableConfig(**columns))


def write(tmp_path: Path, content: str, name: str = "reviews.csv") -> Path:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    return path


def write_csv(tmp_path: Path) -> Path:
    import csv

    path = tmp_path / "reviews.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(RECORDS[0]))
        writer.writeheader()
        writer.writerows(RECORDS)
    return path


def write_json_lines(tmp_path: Path) -> Path:
    lines = "\n\n".join(map(json.dumps, RECORDS))
    return write(tmp_path, lines, "reviews.jsonl")


def write_parquet(tmp_path: Path) -> Path:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "reviews.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(RECORDS), path)
    return path


@pytest.mark.parametrize(
    ("make", "ids"),
    [
        (write_csv, ("line 2", "line 3", "line 5")),
        (write_json_lines, ("line 1", "line 3", "line 5")),
        (write_parquet, ("row 1", "row 2", "row 3")),
    ],
)
def test_each_row_is_an_example_named_by_its_place(tmp_path, make, ids):
    found = find_table(configure(make(tmp_path), text_columns=("text",)))
    assert found.examples.ids == ids
    contents = tuple(record["text"].encode() for record in RECORDS)
    assert found.examples.inputs == Values(contents)
    assert found.class_names == ("bad", "good")
    assert found.examples.targets.tolist() == [1, 0, 0]


def test_several_columns_are_joined(tmp_path):
    path = write_csv(tmp_path)
    names = ("title", "text")
    found = find_table(configure(path, text_columns=names, separator=" | "))
    assert found.examples.inputs.contents[0] == b"One | a fine film"
    assert found.examples.inputs.contents[1] == b' | an "odd", long\nline'


def test_columns_of_usual_names_are_found_if_the_data_are_texts(tmp_path):
    path = write_csv(tmp_path)
    assert isinstance(find_table(configure(path, "text")).examples.inputs, Values)
    two = write(tmp_path, "text,review,label\na,b,c\n", "two.csv")
    with pytest.raises(DataError, match=r"more than one: text, review.*data\.table\.text_columns"):
        find_table(configure(two, "text"))
    assert isinstance(find_table(configure(path)).examples.inputs, Values)
    with pytest.raises(DataError, match=r"looked for a column path.*data\.table\.path_column"):
        find_table(configure(path, "image"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text_columns": ("txt",)}, r"data\.table\.text_columns: .* no column 'txt'. Did you m"),
        ({"text_columns": ("text",), "path_column": "title"}, "are both set. A table holds texts"),
    ],
)
def test_columns_that_cannot_be_meant_are_refused(tmp_path, columns, message):
    with pytest.raises(DataError, match=message):
        find_table(configure(write_csv(tmp_path), **columns))


def test_rows_that_cannot_be_used_are_named(tmp_path):
    lines = [
        '{"text": "fine", "label": "a"}',
        '{"text": "", "label": "a"}',
        '{"text": null, "label": "a"}',
        "{broken",
        "[1]",
        '{"text": ["a"], "label": "a"}',
        '{"label": "a"}',
        '{"text": 7.0, "label": "b", "more": {}}',
        '{"text": "half \\ud800", "label": "b"}',
        '{"text": "no label"}',
    ]
    path = write(tmp_path, "\n".join(lines), "reviews.ndjson")
    found = find_table(configure(path, text_columns=("text",)))
    assert {bad.name: bad.reason for bad in found.quarantined} == {
        "reviews.ndjson, line 2": "column 'text' is blank",
        "reviews.ndjson, line 3": "column 'text' is blank",
        "reviews.ndjson, line 4": "not a JSON object",
        "reviews.ndjson, line 5": "not a JSON object",
        "reviews.ndjson, line 6": "text is neither text nor a number",
        "reviews.ndjson, line 7": "column 'text' is blank",
        "reviews.ndjson, line 10: line 10": "column 'label' is blank",
    }
    assert found.examples.inputs.contents == (b"fine", b"7", b"half \xed\xa0\x80")
    with pytest.raises(DataError, match=r"first line is not a JSON object. Expected lines such"):
        find_table(configure(write(tmp_path, "text,label\n", "x.jsonl"), text_columns=("text",)))


def test_texts_of_a_table_are_checked_and_split(tmp_path):
    rows = [f"the text of number {i},{'ab'[i % 2]}" for i in range(40)]
    rows += ["the same text,a", "the same text,b", "caf\ufffd culture is here to stay,a"]
    path = write(tmp_path, "\n".join(["text,label", *rows]))
    splits = load_splits(configure(path, text_columns=("text",)))
    assert splits.modality == "text"
    assert sum(map(len, (splits.train, splits.validation, splits.holdout))) == 41
    assert {bad.name for bad in splits.quarantined} == {"line 42", "line 43"}
    assert "the same text as line 43, which is labelled 'b'" in splits.quarantined[0].reason
    assert list(splits.noticed.values()) == [1]
    kept = dict(zip(splits.train.ids, splits.train.inputs.contents, strict=True))
    assert all(kept[name].decode() == rows[int(name[5:]) - 2][:-2] for name in kept)
