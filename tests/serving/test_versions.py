"""The next version of an export must be the same model, unless the user allows another."""

import json
import re

import pytest

from kft.errors import ConfigError
from kft.serving.versions import CARD, check_next_version, next_version


def make_card(*names: str, task="classification", path="/data/fruit", fingerprint="f1") -> dict:
    return {
        "head": {"name": task, "class_names": list(names)},
        "data": {"path": path, "fingerprint": fingerprint},
    }


@pytest.fixture
def folder(tmp_path):
    """Create version 2 with the classes apple and pear, and version 1 with others."""
    for version, card in (("1", make_card("x", "y")), ("2", make_card("apple", "pear"))):
        place = tmp_path / version / CARD
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(card))
    return tmp_path


@pytest.mark.parametrize(
    "card",
    [
        make_card("apple", "pear"),
        make_card("apple", "pear", fingerprint="grown"),
        make_card("apple", "pear", path="/moved/fruit"),
    ],
    ids=["again", "data that have grown", "data that have moved"],
)
def test_the_same_model_may_be_the_next_version(folder, card):
    check_next_version(folder, card, allowed="same")
    assert next_version(folder) == 3


@pytest.mark.parametrize(
    ("card", "said"),
    [
        (make_card("hammer", "nail"), "it answers apple, pear; this model answers hammer, nail"),
        (make_card("apple", "pear", "plum"), "this model answers apple, pear, plum"),
        (make_card("pear", "apple"), "same in another order, pear, apple"),
        (
            make_card("apple", "pear", task="multilabel"),
            "task is classification; this model's is multilabel",
        ),
        (make_card("apple", "pear", path="/tools", fingerprint="f2"), "/data/fruit; .*/tools"),
        (
            make_card(*map(str, range(20))),
            "2 classes; this model answers 20: it lacks apple, pear and adds",
        ),
    ],
)
def test_another_model_is_refused_with_both_sides_and_the_remedies(folder, card, said):
    with pytest.raises(ConfigError, match=said) as caught:
        check_next_version(folder, card, allowed="same")
    assert re.search("name=OTHER, or export.next_version=any", str(caught.value))
    check_next_version(folder, card, allowed="any")


def test_an_older_export_is_compared_by_its_classes(folder):
    old = make_card("apple", "pear")
    del old["data"]
    (folder / "2" / CARD).write_text(json.dumps(old))
    check_next_version(
        folder, make_card("apple", "pear", path="/x", fingerprint="f"), allowed="same"
    )
    with pytest.raises(ConfigError, match="hammer"):
        check_next_version(folder, make_card("hammer", "nail"), allowed="same")


def test_a_version_without_a_card_is_not_replaced(folder):
    (folder / "2" / CARD).unlink()
    with pytest.raises(ConfigError, match=r"its classes are unknown"):
        check_next_version(folder, make_card("apple", "pear"), allowed="same")


def test_any_model_may_be_the_first_version(tmp_path):
    check_next_version(tmp_path / "new", make_card("a", "b"), allowed="same")
    assert next_version(tmp_path / "new") == 1
