"""Other data are read by a run's kind of target, classes and columns."""

import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
from data.made import make_found

from kft.config import HeadConfig, load_pipeline
from kft.data import load_splits
from kft.display import Display
from kft.errors import ConfigError, DataError
from kft.examples import Splits
from kft.run_operations.evaluate import configure_other
from kft.run_operations.other_targets import translate_targets
from kft.tasks import find_task, make_head

TARGETS = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)


def head_of(kind: str, *names: str):
    return make_head(HeadConfig(), find_task(kind), names, TARGETS[:, : len(names)])


@pytest.fixture
def write_table(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "img", classes=("a",), per_class=4, size=16)

    def write(header: str, *rows: str) -> str:
        lines = [f"img/a/{number:03d}.png,{row}" for number, row in enumerate(rows)]
        (tmp_path / "new.csv").write_text("\n".join([header, *lines]))
        return str(tmp_path / "new.csv")

    return write


def judge(head, path: str, *overrides: str, own: tuple[str, ...] = ()):
    config = configure_other(load_pipeline("photos", own), head, path, overrides)
    return translate_targets(load_splits(config, as_one=True, decode=False), head, Display())


def test_digits_in_a_label_column_are_the_classes_of_the_run(write_table):
    path = write_table("path,label", "7", "0", "7", "10")
    examples = judge(head_of("class", "0", "10", "7"), path)
    assert examples.targets.tolist() == [2, 0, 2, 1]
    assert judge(head_of("class", "0", "10", "7"), path, "data.target=class").targets[1] == 0


def test_a_table_is_read_by_the_runs_columns_if_it_has_them(write_table):
    own = ("data.table.path_column=image", "data.table.label_columns=[kind]")
    head = head_of("class", "cat", "dog")
    examples = judge(head, write_table("image,kind", "dog", "cat"), own=own)
    assert examples.targets.tolist() == [1, 0]
    assert len(judge(head, write_table("path,label", "dog", "cat"), own=own)) == 2
    mine = ("data.table.path_column=p", "data.table.label_columns=[k]")
    assert len(judge(head, write_table("p,k", "dog", "cat"), *mine, own=own)) == 2


@pytest.mark.parametrize("layout", ["table", "folder"])
def test_data_with_one_class_can_be_judged_but_not_trained_on(write_table, tmp_path, layout):
    path = write_table("path,label", "a", "a") if layout == "table" else str(tmp_path / "img")
    assert set(judge(head_of("class", "b", "a"), path).targets) == {1}
    with pytest.raises(DataError, match=r"one class.*'a'; classification needs at least two"):
        load_splits(load_pipeline(path).data)


def test_a_label_without_examples_can_be_judged_but_not_trained_on(write_table):
    path = write_table("path,red,round", "0,1", "0,0")
    own = ("data.table.label_columns=[red,round]",)
    assert judge(head_of("labels", "round", "red"), path, own=own).targets.tolist() == [
        [1, 0],
        [0, 0],
    ]


def test_a_missing_label_is_refused_rather_than_read_as_0(write_table):
    path = write_table("path,red", "0", "1")
    with pytest.raises(DataError, match=r"data lack labels .*: round"):
        judge(head_of("labels", "red", "round"), path, "data.table.label_columns=[red]")


def test_one_number_may_have_another_name(write_table):
    path = write_table("path,price", "3.5", "4")
    examples = judge(head_of("number", "cost"), path, "data.table.label_columns=[price]")
    assert examples.targets.tolist() == [[3.5], [4.0]]


def test_unknown_classes_are_refused_by_name(write_table):
    with pytest.raises(DataError, match=r"does not know: yak\. It knows: cat, dog"):
        judge(head_of("class", "cat", "dog"), write_table("path,label", "yak", "cat"))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.seed=3", "training.seed: has no effect"),
        ("data.holdout=0.1", "data.holdout: has no effect"),
        ("data.split.folds=3", "data.split.folds: has no effect"),
        ("data.table.split_column=s", "data.table.split_column: has no effect"),
        (
            "data.image.resize=pad",
            "data.image.resize: pictures are always decoded as",
        ),
        ("data.target=number", "'number', but the model of this run answers 'class'"),
        ("data.table.pathcolumn=x", "unknown key"),
    ],
)
def test_settings_that_the_run_decides_are_refused_by_name(write_table, override, said):
    with pytest.raises(ConfigError, match=said):
        judge(head_of("class", "cat", "dog"), write_table("path,label", "cat"), override)


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def translate(names: tuple[str, ...], known: tuple[str, ...]) -> list[int]:
    """Translate one example of each name to the class indices of a model with `known` classes."""
    examples = make_found(np.arange(len(names))).examples
    nothing = examples.take([])
    splits = Splits(
        examples, nothing, nothing, find_task("class"), names, fingerprint="", origin=""
    )
    head = SimpleNamespace(class_names=known, task=find_task("class"))
    return translate_targets(splits, head, Display()).targets.tolist()


def test_classes_of_other_data_get_the_indices_of_the_model():
    assert translate(("dog", "cat"), ("cat", "cow", "dog")) == [2, 0]


def test_an_older_model_may_have_a_class_name_in_decomposed_letters():
    assert translate((COMPOSED, "vache"), ("vache", DECOMPOSED)) == [1, 0]


def test_unknown_classes_are_named_with_similar_known_ones():
    with pytest.raises(DataError, match=r"not know: 'Cat' \(did you mean 'cat'\?\), owl\. It"):
        translate(("Cat", "owl"), ("cat", "dog"))
