"""The public names are few, pinned, and loaded only when they are used."""

import doctest
import inspect
import subprocess
import sys

import pytest

import kft

NAMES = [
    "AuditReport",
    "Check",
    "Exported",
    "KftError",
    "Run",
    "audit",
    "check",
    "compare",
    "list_backbones",
    "load",
    "load_backbone",
    "pretrain",
    "register_backbone",
    "register_modality",
    "register_task",
    "train",
]


def test_the_public_names_are_pinned():
    assert kft.__all__ == NAMES
    assert set(NAMES) <= set(dir(kft))


@pytest.mark.parametrize("name", NAMES)
def test_each_public_name_exists_and_is_documented(name):
    assert inspect.getdoc(getattr(kft, name))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'kft' has no attribute 'trian'"):
        _ = kft.trian


def test_listing_the_names_does_not_load_tensorflow():
    code = (
        "import sys\n"
        "from kft import *\n"
        "assert callable(train)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    "thing",
    [
        *(getattr(kft, name) for name in NAMES if name[0].islower() and name != "list_backbones"),
        *(kft.Run, kft.Exported, kft.Run.predict),
        *(
            kft.Run.evaluate,
            kft.Run.export,
            kft.Run.report,
            kft.Run.explain,
            kft.Run.resume,
            kft.AuditReport.write_page,
        ),
    ],
    ids=lambda thing: thing.__qualname__,
)
def test_the_docstring_of_each_public_function_has_an_example(thing):
    (found,) = doctest.DocTestFinder(recurse=False).find(thing, thing.__name__)
    assert found.examples
    for example in found.examples:
        compile(example.source, thing.__name__, "single")
