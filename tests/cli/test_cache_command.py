"""`kft cache` lists and clears cached results."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from click.testing import CliRunner

from kft.cli.cache import format_bytes
from kft.cli.main import main
from kft.runs.entries import open_or_build


def run(*arguments: str, given: str | None = None):
    return CliRunner().invoke(main, ["cache", *arguments], input=given, prog_name="kft")


def make(key: str, room: str = "features"):
    def build(folder: Path) -> None:
        (folder / "values.bin").write_bytes(b"x" * 123_400)

    entry = open_or_build(room, key, build, about=f"{key} at stage3", limit_bytes=10**9)
    gc.collect()
    return entry


def keys(caches: Path) -> list[str]:
    return sorted(path.name for path in caches.glob("*/*"))


@pytest.mark.parametrize("verb", [(), ("list",), ("clear",)])
def test_the_help_of_every_command_has_an_example(verb):
    result = run(*verb, "--help")
    assert result.exit_code == 0
    assert "  kft cache " in result.output


def test_entries_are_listed_with_their_size_the_total_and_the_limit(caches):
    make("resnet50")
    make("digits", "decoded")
    output = run("list").output
    assert "resnet50 at stage3" in output
    assert "digits at stage3" in output
    assert "123.6 kB" in output
    assert f"247.1 kB in {caches}" in output
    assert "of 20.0 GB" in output
    assert "digits" not in run("list", "features").output


def test_the_list_of_a_room_has_its_total_and_the_total_under_the_limit(caches):
    make("resnet50")
    make("digits", "decoded")
    output = run("list", "decoded").output
    assert f"123.6 kB in {caches / 'decoded'}; features and decoded use 247.1 kB of" in output


def test_an_empty_cache_says_so(caches):
    result = run("list")
    assert result.exit_code == 0
    assert f"No entries in {caches}." in result.output
    assert "Removed 0 entries" in run("clear").output


def test_clearing_all_names_the_rooms_that_are_kept(caches):
    for room in ("unpacked", "measured"):
        (caches / room).mkdir()
        (caches / room / "file.json").write_text("{}")
    run("clear", "--yes")
    spared = {path.parent.name for path in caches.glob("*/*")}
    assert spared == {"unpacked", "measured"}
    said = run("clear", "--help").output
    assert all(f"`{room}`" in said for room in spared)


def test_clearing_asks_first(caches):
    make("resnet50")
    result = run("clear", given="n\n")
    assert "Remove 1 entry, 123.6 kB?" in result.output
    assert result.exit_code == 1
    assert keys(caches) == ["resnet50"]
    result = run("clear", given="y\n")
    assert "Removed 1 entry and freed 123.6 kB." in result.output
    assert keys(caches) == []


def test_clearing_a_room_or_one_entry_leaves_the_others(caches):
    for key, room in (("abc", "features"), ("abd", "features"), ("abc", "decoded")):
        make(key, room)
    assert run("clear", "features", "abc", "--yes").exit_code == 0
    assert keys(caches) == ["abc", "abd"]
    run("clear", "decoded", "--yes")
    assert keys(caches) == ["abd"]


def test_entries_in_use_are_named_and_kept(caches):
    held = make("held")
    result = run("clear", "--yes")
    assert "Removed 0 entries" in result.output
    assert "Kept features held: it is in use." in result.output
    assert keys(caches) == ["held"]
    assert held.path.is_dir()


def test_a_misspelt_room_is_refused_with_the_existing_ones():
    make("key")
    for verb in ("list", "clear"):
        result = run(verb, "feature")
        assert result.exit_code == 2
        assert "Did you mean 'features'?" in result.output


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (2_500_000, "2.5 MB"),
        (3e12, "3000.0 GB"),
    ],
)
def test_sizes_are_written_in_units_of_a_thousand(count, text):
    assert format_bytes(count) == text
