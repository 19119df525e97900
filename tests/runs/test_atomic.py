"""Atomic writes."""

import json

import pytest

from kft.runs.atomic import (
    atomic_directory,
    atomic_file,
    write_bytes,
    write_json,
    write_text,
)


class PowerCut(BaseException):
    """The most abrupt end at which `finally` still runs."""


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_file_appears_complete_and_its_parents_are_created(tmp_path):
    with atomic_file(tmp_path / "a" / "b.csv") as temporary:
        temporary.write_text("x,y\n")
        assert not (tmp_path / "a" / "b.csv").exists()
    assert (tmp_path / "a" / "b.csv").read_text() == "x,y\n"
    assert names(tmp_path) == ["a", "a/b.csv"]


def test_the_temporary_name_keeps_suffix_and_folder(tmp_path):
    with atomic_file(tmp_path / "model.keras") as temporary:
        assert temporary.suffix == ".keras"
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        temporary.write_text("x")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, PowerCut])
def test_a_failing_body_leaves_nothing(tmp_path, error):
    def write_half():
        with atomic_file(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert names(tmp_path) == []


def test_an_existing_file_survives_a_failing_body(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half():
        with atomic_file(path) as temporary:
            temporary.write_text("half")
            raise PowerCut

    with pytest.raises(PowerCut):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_an_existing_file_is_replaced_by_a_body_that_succeeds(tmp_path):
    write_text(tmp_path / "a.txt", "a long old text")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_body_that_writes_nothing_is_an_error_and_not_an_empty_file(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []


def test_two_writers_of_one_file_do_not_interfere(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_file(path) as first, atomic_file(path) as second:
        first.write_text("first")
        second.write_text("second")
        assert first != second
    assert path.read_text() == "first"


def test_a_folder_appears_with_all_its_files(tmp_path):
    with atomic_directory(tmp_path / "a") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "x").write_text("x")
        assert not (tmp_path / "a").exists()
    assert names(tmp_path) == ["a", "a/inner", "a/inner/x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, PowerCut])
def test_a_failing_body_leaves_no_folder(tmp_path, error):
    def fill_half():
        with atomic_directory(tmp_path / "a") as folder:
            (folder / "x").write_text("x")
            raise error

    with pytest.raises(error):
        fill_half()
    assert names(tmp_path) == []


def test_a_folder_created_in_the_meantime_is_not_touched(tmp_path):
    def fill():
        with atomic_directory(tmp_path / "a") as folder:
            (folder / "x").write_text("mine")
            (tmp_path / "a").mkdir()
            (tmp_path / "a" / "y").write_text("theirs")

    with pytest.raises(FileExistsError, match="already exists"):
        fill()
    assert names(tmp_path) == ["a", "a/y"]


def test_bytes_text_and_json_read_back(tmp_path):
    write_bytes(tmp_path / "b", b"\x00\xff")
    write_text(tmp_path / "t", "Füße\n")
    write_json(tmp_path / "j", {"name": "Füße", "values": [1, 0.5, None]})
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert (tmp_path / "t").read_bytes() == "Füße\n".encode()
    text = (tmp_path / "j").read_text(encoding="utf-8")
    assert json.loads(text) == {"name": "Füße", "values": [1, 0.5, None]}
    assert "Füße" in text
    assert text.endswith("}\n")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}])
def test_values_that_json_cannot_hold_are_refused_and_leave_nothing(tmp_path, value):
    with pytest.raises((ValueError, TypeError)):
        write_json(tmp_path / "j", {"a": value})
    assert names(tmp_path) == []
