from __future__ import annotations

import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from data.made import make_found

from kft.config import DataConfig, load_pipeline
from kft.data.class_names import find_likeness, find_similar, format_aliases, join_classes
from kft.data.loading import find_examples
from kft.errors import DataError

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def found_of(*labels: str):
    """Make an example of each label."""
    names = tuple(dict.fromkeys(labels))
    found = make_found(np.asarray([names.index(label) for label in labels]))
    return replace(found, class_names=names)


def labels_of(found) -> list[str]:
    return [found.class_names[target] for target in found.examples.targets]


def test_one_text_in_two_unicode_forms_is_one_class_and_counted():
    joined = join_classes(found_of(COMPOSED, DECOMPOSED, "vache", DECOMPOSED), DataConfig())
    assert joined.class_names == (COMPOSED, "vache")
    assert labels_of(joined) == [COMPOSED, COMPOSED, "vache", COMPOSED]
    assert joined.noticed == {
        f"of a class in decomposed Unicode (NFD), read as composed: {COMPOSED}": 2
    }


def test_groups_in_two_unicode_forms_are_one():
    found = replace(found_of("a", "b"), groups=(COMPOSED, DECOMPOSED))
    joined = join_classes(found, DataConfig())
    assert joined.groups == (COMPOSED, COMPOSED)
    assert list(joined.noticed.values()) == [1]


@pytest.mark.parametrize(
    "other",
    [
        *("Cat box", "cat_box", "cat-box", "CAT  BOX", " cat box", "cat box ", "cat\tbox"),
        *("cat\u00a0box", "cat\u200b box", "\ufeffcat box", "ｃat box", "cat\x07 box"),
    ],
)
def test_classes_that_look_the_same_are_refused_with_what_joins_them(other):
    found = found_of("cat box", "cat box", other, "dog")
    with pytest.raises(DataError, match=r"easily confused.*'cat box' \(2\) and .* \(1\)") as caught:
        join_classes(found, DataConfig())
    assert str(caught.value).isprintable()
    # The advice is obeyed as it stands.
    override = str(caught.value).split("join them: '")[1].split("'; if not")[0]
    joined = join_classes(found, load_pipeline(None, [override]).data)
    assert joined.class_names == ("cat box", "dog")
    assert list(joined.noticed.values()) == [1]
    assert join_classes(found, DataConfig(similar_classes="keep")) == found


@pytest.mark.parametrize(("one", "other"), [("1", "01"), ("1", "1.0"), ("10", "10.")])
def test_one_number_written_in_two_ways_is_refused(one, other):
    with pytest.raises(DataError, match="easily confused"):
        join_classes(found_of(one, other, "2"), DataConfig())


@pytest.mark.parametrize(
    ("one", "other"),
    [("C-", "C"), ("C+", "C"), ("-1", "1"), ("cat", "cats"), ("a1", "a-1"), ("1-2", "12")],
)
def test_classes_that_differ_are_kept_apart(one, other):
    assert find_likeness(one) != find_likeness(other)
    join_classes(found_of(one, other), DataConfig())


def test_all_sets_of_similar_classes_are_in_one_message():
    with pytest.raises(DataError, match=r"'Cat'.*'dog'.*\{cat: Cat, dog: Dog\}"):
        join_classes(found_of("Cat", "Cat", "cat", "Dog", "Dog", "dog"), DataConfig())


def test_an_alias_may_give_a_class_a_new_name():
    config = DataConfig(class_aliases={"0": "zebra", "1": "ant"})
    assert labels_of(join_classes(found_of("0", "1", "0"), config)) == ["zebra", "ant", "zebra"]


@pytest.mark.parametrize(
    ("aliases", "problem"),
    [
        ({"Caat": "cat"}, r"no class 'Caat' in test. Did you mean 'Cat'"),
        ({"Cat": "cat", "cat": "dog"}, "itself an alias"),
        ({"Cat": "Cat"}, "itself an alias.*similar_classes=keep"),
    ],
)
def test_aliases_that_cannot_be_obeyed_are_refused(aliases, problem):
    with pytest.raises(DataError, match=problem):
        join_classes(found_of("Cat", "cat", "dog"), DataConfig(class_aliases=aliases))


def test_aliases_of_labels_that_are_no_classes_are_refused():
    found = make_found(np.eye(2))
    with pytest.raises(DataError, match=r"holds no classes \(target labels\)"):
        join_classes(found, DataConfig(class_aliases={"a": "b"}))


def test_other_data_need_not_hold_the_aliases():
    config = DataConfig(class_aliases={"Cat": "cat"})
    found = found_of("cat", "dog", "Dog")
    assert join_classes(found, config, is_other=True).class_names == found.class_names


def test_names_are_found_that_mean_a_known_class():
    assert find_similar(["Cat", "owl"], ["cat", "dog"]) == {"Cat": "cat"}


def test_aliases_are_written_so_that_they_can_be_typed():
    aliases = {"No": "no", "1": "true", "a\u200b": "é: b"}
    written = format_aliases(aliases)
    assert written.isprintable()
    assert load_pipeline(None, [written.strip("'")]).data.class_aliases == aliases


def test_folders_and_tables_join_alike(tmp_path, write_classes):
    write_classes(**{COMPOSED: 2, DECOMPOSED: 1, "vache": 2})
    lines = [
        f"{COMPOSED}/000.png,{DECOMPOSED}",
        f"{COMPOSED}/001.png,{COMPOSED}",
        "vache/000.png,b",
    ]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *lines]))
    folder = find_examples(DataConfig(path=str(tmp_path)))
    table = find_examples(DataConfig(path=str(tmp_path / "t.csv")))
    assert folder.class_names == (COMPOSED, "vache")
    assert table.class_names == ("b", COMPOSED)
    assert [*folder.noticed.values()] == [*table.noticed.values()] == [1]


def test_given_splits_may_write_a_class_in_two_forms(tmp_path, write_classes):
    for split, name in (("train", COMPOSED), ("val", DECOMPOSED)):
        write_classes(**{f"{split}__{name}": 1, f"{split}__vache": 1})
    found = find_examples(DataConfig(path=str(tmp_path)))
    assert found.class_names == (COMPOSED, "vache")
    assert found.examples.targets.tolist() == [0, 1, 0, 1]


def test_a_split_that_writes_a_class_otherwise_is_told_the_alias(tmp_path, write_classes):
    for split, name in (("train", "cat"), ("val", "Cat")):
        write_classes(**{f"{split}__{name}": 1, f"{split}__dog": 1})
    with pytest.raises(DataError, match=r"class Cat is not in .*join them.*\{Cat: cat\}"):
        find_examples(DataConfig(path=str(tmp_path)))
    config = DataConfig(path=str(tmp_path), class_aliases={"Cat": "cat"})
    found = find_examples(config)
    assert found.class_names == ("cat", "dog")
    assert found.noticed == {"of 'Cat' joined to 'cat'": 1}


def test_classes_that_are_numbers_have_one_order_in_folders_and_tables(tmp_path, write_classes):
    write_classes(**{str(number): 1 for number in (10, 9, 1, 2)})
    lines = [f"{number}/000.png,{number}" for number in (10, 9, 1, 2)]
    (tmp_path / "t.csv").write_text("\n".join(["path,label", *lines]))
    folder = find_examples(DataConfig(path=str(tmp_path)))
    table = find_examples(DataConfig(path=str(tmp_path / "t.csv"), target="class"))
    assert folder.class_names == table.class_names == ("1", "2", "9", "10")
