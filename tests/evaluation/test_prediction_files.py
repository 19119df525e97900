"""predictions.csv and the other files hold the same names and numbers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kft.config import HeadConfig
from kft.evaluation.prediction_files import write_tables
from kft.tasks import TASKS, find_task, load_task, make_head
from kft.tasks.classification.figures import MOST_COLUMNS

NAMES = ("cat", "dog", "owl")
FILES = ("cat/0.png", "dog/1, 2.png", 'owl/"3".png', "Füße/4.png")
TARGETS = {
    "class": np.array([0, 1, 2, 1]),
    "labels": np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]], np.float32),
    "number": np.array([[0.1, -2, 3e-9], [1.7e9 + 1, 5, 5], [-0.3, 5, 7], [0, 1, 2]]),
}
# Class names that resemble columns or contain special characters.
ODD_NAMES = (
    "file",
    "true",
    "predicted",
    "true true",
    "predicted file",
    "probability file",
    "x,y",
    'a "b"',
    "line\nend",
    "return\rhere",
    "\r\n",
    " ",
    "choice 1",
    "Füße",
)
names_of_classes = st.lists(
    st.one_of(
        st.sampled_from(ODD_NAMES), st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
    ),
    min_size=2,
    max_size=6,
    unique=True,
)


def outputs_for(kind: str) -> np.ndarray:
    head = make_head(HeadConfig(), find_task(kind), NAMES, TARGETS[kind])
    logits = np.random.default_rng(0).normal(0, 3, (4, 3)).astype(np.float32)
    return np.asarray(head.restore_units(np.asarray(head.activate(logits))))


def write_for(folder: Path, kind: str, *, names=NAMES, files=FILES, targets=None, outputs=None):
    tables = find_task(kind).figures.tabulate(
        names,
        files,
        TARGETS[kind] if targets is None else targets,
        outputs_for(kind) if outputs is None else outputs,
    )
    write_tables(folder, tables)


def write(folder: Path, kind: str) -> list[dict[str, str]]:
    write_for(folder, kind)
    return read_rows(folder / "predictions.csv")


def read_rows(path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read(rows, columns, dtype=np.float32) -> np.ndarray:
    return np.array([[dtype(row[column]) for column in columns] for row in rows])


def test_every_task_has_a_case_in_this_file():
    tasks = [load_task(name) for name in TASKS]
    # Those with dense targets have tables of their own, in tests/tasks.
    assert {task.word for task in tasks if task.companion is None} == set(TARGETS)


def test_classes_are_written_by_name_with_every_probability(tmp_path):
    rows = write(tmp_path, "class")
    outputs = outputs_for("class")
    columns = [f"probability {name}" for name in NAMES]
    assert list(rows[0]) == ["file", "true", "predicted", *columns]
    assert [row["file"] for row in rows] == list(FILES)
    assert [row["true"] for row in rows] == ["cat", "dog", "owl", "dog"]
    assert [row["predicted"] for row in rows] == [NAMES[i] for i in outputs.argmax(axis=1)]
    assert np.array_equal(read(rows, columns), outputs)


@pytest.mark.parametrize(("kind", "dtype"), [("labels", np.float32), ("number", np.float64)])
def test_labels_and_numbers_are_written_exactly_with_their_targets(tmp_path, kind, dtype):
    rows = write(tmp_path, kind)
    true, predicted = ([f"{what} {name}" for name in NAMES] for what in ("true", "predicted"))
    assert list(rows[0]) == ["file", *true, *predicted]
    assert [row["file"] for row in rows] == list(FILES)
    assert np.array_equal(read(rows, true, dtype), TARGETS[kind])
    assert np.array_equal(read(rows, predicted, dtype), outputs_for(kind))


@pytest.mark.parametrize("kind", sorted(TARGETS))
@settings(max_examples=60, deadline=None)
@given(names=names_of_classes)
def test_no_class_name_makes_two_columns_collide(kind, names, tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    indices = np.arange(len(names))
    targets = indices if kind == "class" else np.eye(len(names))
    outputs = np.eye(len(names), dtype=np.float32)
    write_for(
        folder,
        kind,
        names=names,
        files=[f"{name}/0.png" for name in names],
        targets=targets,
        outputs=outputs,
    )
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(set(header)) == len(header)
    assert all(len(row) == len(header) for row in rows)
    read_back = read_rows(folder / "predictions.csv")
    assert [row["file"] for row in read_back] == [f"{name}/0.png" for name in names]
    if kind == "class":
        assert [row["true"] for row in read_back] == names
        assert [row["predicted"] for row in read_back] == names


def test_many_classes_have_few_columns_and_a_file_of_probabilities(tmp_path):
    count = MOST_COLUMNS + 1
    names = tuple(f"class {index}" for index in range(count))
    targets = np.arange(count)
    outputs = np.random.default_rng(0).dirichlet(np.ones(count), count).astype(np.float32)
    files = [f"{index}.png" for index in range(count)]
    write_for(tmp_path, "class", names=names, files=files, targets=targets, outputs=outputs)
    rows = read_rows(tmp_path / "predictions.csv")
    assert len(rows[0]) == 14
    for index, row in enumerate(rows):
        best = np.argsort(-outputs[index], kind="stable")[:5]
        assert row["predicted"] == row["choice 1"] == names[best[0]]
        assert [row[f"choice {place}"] for place in range(1, 6)] == [names[i] for i in best]
        assert np.float32(row["probability 2"]) == outputs[index, best[1]]
        assert np.float32(row["probability of true"]) == outputs[index, index]
    with np.load(tmp_path / "probabilities.npz", allow_pickle=False) as held:
        assert held["files"].tolist() == files
        assert held["class_names"].tolist() == list(names)
        assert np.array_equal(held["probabilities"], outputs)


def test_confusions_match_scikit_learn_without_zeros(tmp_path):
    from sklearn.metrics import confusion_matrix

    rng = np.random.default_rng(0)
    targets, outputs = rng.integers(0, 3, 40), rng.random((40, 3))
    files = [f"{index}.png" for index in range(40)]
    write_for(tmp_path, "class", files=files, targets=targets, outputs=outputs)
    matrix = np.zeros((3, 3), int)
    for row in read_rows(tmp_path / "confusion.csv"):
        assert int(row["examples"]) > 0
        matrix[NAMES.index(row["true"]), NAMES.index(row["predicted"])] = int(row["examples"])
    assert np.array_equal(matrix, confusion_matrix(targets, outputs.argmax(axis=1)))


def test_rows_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(ValueError, match="zip"):
        write_for(tmp_path, "class", files=FILES[:3])
    assert list(tmp_path.iterdir()) == []
