from __future__ import annotations

import datetime

import pyarrow
import pyarrow.parquet
import pytest

from kft.config import DataConfig, SplitConfig, TableConfig
from kft.data.loading import find_source
from kft.data.sources.table import find_table
from kft.errors import DataError


@pytest.fixture
def write_parquet(tmp_path):
    """Write columns as labels.parquet, and a file for each of four paths."""
    for number in range(4):
        (tmp_path / f"p{number}.png").write_bytes(b"")

    def write(**columns):
        paths = [f"p{number}.png" for number in range(len(next(iter(columns.values()))))]
        table = pyarrow.table({"path": paths, **columns})
        pyarrow.parquet.write_table(table, tmp_path / "labels.parquet")
        return tmp_path / "labels.parquet"

    return write


def find(path, target="auto", split=None, **columns):
    config = DataConfig(
        path=str(path),
        target=target,
        split=SplitConfig(**(split or {})),
        table=TableConfig(**columns),
    )
    return find_table(config)


def test_parquet_is_a_table(write_parquet):
    path = write_parquet(label=["dog", "cat", "dog"], unused=[[1], [2], [3]])
    assert find_source(DataConfig(path=str(path))) == "table"
    found = find(path)
    assert found.class_names == ("cat", "dog")
    assert found.examples.ids == ("p0.png", "p1.png", "p2.png")
    assert found.examples.targets.tolist() == [1, 0, 1]


def test_parquet_is_known_by_its_content_too(write_parquet):
    path = write_parquet(label=["dog", "cat"])
    path = path.rename(path.with_suffix(".csv"))
    assert find(path).class_names == ("cat", "dog")


def test_typed_columns_are_understood(write_parquet):
    path = write_parquet(
        label=pyarrow.array([3, 1, 3], pyarrow.int8()),
        size=pyarrow.array([1.5, 2.0, 3.0], pyarrow.float32()),
        kind=pyarrow.array(["a", "b", "a"]).dictionary_encode(),
        when=[datetime.datetime(1970, 1, day) for day in (1, 2, 3)],
        sunny=[True, False, True],
    )
    with pytest.raises(DataError, match=r"holds numbers, which may be classes or amounts"):
        find(path)
    assert find(path, "class").class_names == ("1", "3")
    found = find(path, "number", label_columns=("size", "label"))
    assert found.examples.targets.tolist() == [[1.5, 3.0], [2.0, 1.0], [3.0, 3.0]]
    assert find(path, label_columns=("kind",)).class_names == ("a", "b")
    assert find(path, label_columns=("sunny",)).class_names == ("false", "true")
    assert find(path, "class", split={"group_column": "kind"}).groups == ("a", "b", "a")
    found = find(path, "class", split={"time_column": "when"})
    assert found.times == (0.0, 86400.0, 172800.0)


def test_whole_numbers_that_pandas_made_floats_keep_their_names(write_parquet):
    path = write_parquet(label=[1.0, 2.0, None, float("nan")])
    found = find(path, "class")
    assert found.class_names == ("1", "2")
    assert [(bad.name, bad.reason[:24]) for bad in found.quarantined] == [
        ("labels.parquet, row 3: p2.png", "column 'label' is blank"),
        ("labels.parquet, row 4: p3.png", "'nan' in column 'label' "),
    ]


def test_what_parquet_cannot_give_is_refused(write_parquet, tmp_path):
    path = write_parquet(label=[[1], [2]])
    with pytest.raises(DataError, match=r"column 'label' holds list<.*>. Expected text, numbers"):
        find(path)
    path = write_parquet(label=["a", "b"])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match=r"labels.parquet: cannot be read as Parquet"):
        find(path)
    path.write_text("path,label\n")
    with pytest.raises(DataError, match=r"labels.parquet: cannot be read as Parquet"):
        find(path)
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"])] * 2, names=["path", "path"])
    pyarrow.parquet.write_table(twice, path)
    with pytest.raises(DataError, match=r"column path is repeated"):
        find(path)


def test_a_dot_in_the_name_of_a_column_is_no_path_into_it(write_parquet):
    path = write_parquet(**{"a.b": ["x", "y"], "a": [1, 2]})
    assert find(path, label_columns=("a.b",)).class_names == ("x", "y")
