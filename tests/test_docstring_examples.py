"""The examples in docstrings run and show their real results."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import kft
from kft.backbones import BACKBONES

SOURCE = Path(kft.__file__).parent
# Examples of the Python face are on the reader's own data; tests/api compiles them.
ON_OWN_DATA = (
    ">>> kft.",
    ">>> run",
    ">>> found = run",
    ">>> check",
    ">>> report",
    ">>> exported",
    ">>> model",
)
MODULES = sorted(
    ".".join(("kft", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
    for path in SOURCE.rglob("*.py")
    if ">>> " in (text := path.read_text(encoding="utf-8"))
    and not any(beginning in text for beginning in ON_OWN_DATA)
)


def test_public_functions_have_examples():
    assert {"kft.backbones", "kft.registry", "kft.statistics.intervals"} <= set(MODULES)


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    """An example that registers a backbone registers it for itself alone."""
    monkeypatch.setattr(BACKBONES, "_entries", dict(BACKBONES))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
