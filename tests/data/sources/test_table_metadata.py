"""Columns of a table without a role are properties of its examples."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from kft.config import load_pipeline
from kft.data.loading import find_examples

ROWS = [
    # path, label, site, age, note, code
    (f"{place}.png", "cat" if place % 2 else "dog", "north" if place < 40 else "south", 20 + place)
    for place in range(60)
]


def write(place, ending: str) -> str:
    records = [
        {
            "path": path,
            "label": label,
            "site": site,
            "age": age,
            "note": f"a remark on {path}",
            "code": age % 3,
            "same": "x",
        }
        for path, label, site, age in ROWS
    ]
    for path, *_ in ROWS:
        (place / path).write_bytes(b"x")
    table = place / f"data.{ending}"
    if ending == "csv":
        lines = [",".join(records[0]), *(",".join(map(str, each.values())) for each in records)]
        table.write_text("\n".join(lines))
    elif ending == "jsonl":
        for each in records:
            each["box"] = [1, 2]
        table.write_text("\n".join(map(json.dumps, records)))
    else:
        columns = {name: [each[name] for each in records] for name in records[0]}
        parquet.write_table(pa.table({**columns, "box": [[1, 2]] * 60}), table)
    return str(table)


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_words_codes_and_numbers_are_kept_and_texts_are_not(tmp_path, ending):
    examples = find_examples(load_pipeline(write(tmp_path, ending)).data).examples
    assert set(examples.metadata) == {"site", "age", "code"}
    assert set(examples.metadata["code"]) == {"0", "1", "2"}
    taken = examples.take([3, 50])
    assert taken.metadata["site"].tolist() == ["north", "south"]
    assert taken.metadata["age"].tolist() == [23.0, 70.0]
    joined = type(examples).join([taken, examples.take([0])])
    assert joined.metadata["age"].tolist() == [23.0, 70.0, 20.0]


def test_blank_cells_are_blank_and_bad_rows_do_not_shift_the_others(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.png").write_bytes(b"x")
    rows = ["path,label,site,age", "a.png,cat,north,", "gone.png,cat,south,1", "b.png,dog,,30.5"]
    rows += ["c.png,dog,south,31,extra", "d.png,cat,east,NA"]
    rows += [f"d{place}.png,cat,east,{place}" for place in range(12)]
    for place in range(12):
        (tmp_path / f"d{place}.png").write_bytes(b"x")
    (tmp_path / "data.csv").write_text("\n".join(rows))
    examples = find_examples(load_pipeline(str(tmp_path / "data.csv")).data).examples
    assert examples.ids[:3] == ("a.png", "b.png", "d.png")
    assert examples.metadata["site"][:3].tolist() == ["north", "", "east"]
    age = examples.metadata["age"]
    assert np.isnan(age[[0, 2]]).all() and age[1] == 30.5


def test_groups_of_a_split_are_a_property(tmp_path, make_picture_folder):
    from kft.data import load_splits

    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=8)
    asked = ("data.split.group_pattern=(?P<number>\\d)\\.png", "data.split.rare=keep_in_train")
    splits = load_splits(load_pipeline(str(tmp_path / "photos"), asked).data)
    assert set(splits.train.metadata) == {"number"}
    assert splits.train.groups is not None
