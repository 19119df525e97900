"""Registries load on demand and suggest names for unknown ones."""

import sys

import pytest

from kft.backbones import BACKBONES
from kft.backbones.catalogue import list_backbones
from kft.data import SOURCES
from kft.errors import BackboneError, ConfigError
from kft.registry import Registry, suggest
from kft.strategies import STRATEGIES
from kft.task_names import TASKS

ENTRIES = {"square": "fractions:Fraction", "circle": "colorsys:rgb_to_hsv"}


def test_a_registry_is_a_mapping_in_the_order_of_its_entries():
    registry = Registry("shape", ENTRIES)
    assert list(registry) == ["square", "circle"]
    assert dict(registry) == ENTRIES
    assert len(registry) == 2
    assert "square" in registry
    assert "cube" not in registry


def test_listing_imports_nothing_and_loading_imports_a_single_module(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    registry = Registry("shape", ENTRIES)
    assert "circle" in list(registry)
    assert "colorsys" not in sys.modules
    loaded = registry.load("circle")
    assert loaded is sys.modules["colorsys"].rgb_to_hsv


def test_a_misspelt_name_is_refused_with_a_similar_one_and_the_kind():
    with pytest.raises(ConfigError) as caught:
        Registry("shape", ENTRIES)["sqare"]
    assert str(caught.value) == "unknown shape 'sqare'. Did you mean 'square'?"


def test_an_unlike_name_is_refused_with_all_names_sorted():
    with pytest.raises(ConfigError, match=r"unknown shape 'xyz'\. Allowed: circle, square\.$"):
        Registry("shape", ENTRIES).load("xyz")


def test_the_error_is_the_registrys_own():
    with pytest.raises(BackboneError):
        Registry("shape", ENTRIES, error=BackboneError).load("xyz")


def test_later_changes_of_the_entries_do_not_affect_the_registry():
    entries = dict(ENTRIES)
    registry = Registry("shape", entries)
    entries["cube"] = "math:pow"
    assert "cube" not in registry


def test_an_entry_from_elsewhere_that_cannot_be_imported_says_where_it_was_sought():
    registry = Registry("shape", {"cube": "no_package:Cube", "cone": "fractions:Cone"})
    for name, place in registry.items():
        with pytest.raises(ConfigError, match=rf"^{place} cannot be imported: .*PYTHONPATH"):
            registry.load(name)


def test_a_name_that_a_list_of_entries_could_not_hold_is_refused():
    for name in ("a cube", "a=b", ""):
        with pytest.raises(ConfigError, match="a name has no spaces and no '='"):
            Registry("shape", ENTRIES).add(name, "math:pow")


def test_suggestions_name_at_most_three():
    text = suggest("stage", [f"stage{number}" for number in range(9)])
    assert text.count("stage") == 3
    assert text.startswith("Did you mean 'stage")


@pytest.mark.parametrize("registry", [BACKBONES, TASKS, SOURCES, STRATEGIES], ids=lambda r: r.kind)
def test_every_entry_of_every_registry_loads(registry):
    assert len(registry) >= 3
    for name in registry:
        assert callable(registry.load(name)), name


def test_the_list_of_backbones_is_the_registry():
    assert {listing.name for listing in list_backbones()} == set(BACKBONES)


def test_an_entry_from_elsewhere_is_found_as_the_others_and_takes_nobodys_place():
    registry = Registry("shape", ENTRIES)
    for _ in range(2):
        registry.add("cube", "fractions:Fraction")
    assert list(registry) == ["square", "circle", "cube"]
    assert registry.load("cube") is registry.load("square")
    with pytest.raises(ConfigError, match="'cube' is registered already, as fractions:Fraction"):
        registry.add("cube", "colorsys:rgb_to_hsv")
