"""The exception tree, its exit codes, and lists of problems."""

import pytest

from kft import errors
from kft.errors import (
    BackboneError,
    ChangedRunError,
    ConfigError,
    DataError,
    ExportError,
    HeldRunError,
    KftError,
    LostDiskError,
    LostWorkerError,
    RunError,
    StorageError,
    TrainingError,
)

EXIT_CODES = {
    KftError: 1,
    ConfigError: 2,
    DataError: 2,
    BackboneError: 2,
    RunError: 2,
    HeldRunError: 1,
    ChangedRunError: 1,
    StorageError: 2,
    LostDiskError: 1,
    LostWorkerError: 1,
    TrainingError: 1,
    ExportError: 1,
}


def test_the_tree_holds_exactly_these_errors():
    found = {value for value in vars(errors).values() if isinstance(value, type)}
    assert {c for c in found if issubclass(c, Exception)} == set(EXIT_CODES)


@pytest.mark.parametrize("error", EXIT_CODES, ids=lambda e: e.__name__)
def test_every_error_is_a_kft_error_with_an_exit_code(error):
    assert issubclass(error, KftError)
    assert error("why").exit_code == EXIT_CODES[error]


@pytest.mark.parametrize("error", EXIT_CODES, ids=lambda e: e.__name__)
def test_the_module_docstring_shows_every_error_with_its_exit_code(error):
    (line,) = (line for line in errors.__doc__.splitlines() if error.__name__ in line.split())
    assert f"exit {EXIT_CODES[error]}" in line


def test_a_single_problem_is_on_the_line_of_its_file():
    assert str(ConfigError.from_problems("a.yaml", ["x: wrong"])) == "a.yaml: x: wrong"


def test_several_problems_are_counted_and_listed_one_per_line():
    error = ConfigError.from_problems("a.yaml", ["x: wrong", "y: worse"])
    assert isinstance(error, ConfigError)
    assert str(error) == "a.yaml: 2 problems\n  - x: wrong\n  - y: worse"
