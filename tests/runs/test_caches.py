"""Location, listing and clearing of the cache."""

import gc
from pathlib import Path

import pytest

from kft.errors import ConfigError
from kft.runs.caches import (
    cache_folder,
    cache_root,
    find_entries,
    list_entries,
    list_rooms,
)
from kft.runs.clearing import clear, find_clearable
from kft.runs.entries import open_or_build


def make(key: str, *, room: str = "features", size: int = 1000):
    def build(folder: Path) -> None:
        (folder / "values.bin").write_bytes(b"x" * size)

    return open_or_build(room, key, build, about=f"entry {key}", limit_bytes=10**9)


def keys(kept) -> list[str]:
    return [entry.key for entry in kept]


def test_kft_cache_dir_takes_precedence(monkeypatch, tmp_path):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "own"


def test_without_kft_cache_dir_the_users_cache_folder_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("KFT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "kft"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_root() == Path.home() / ".cache" / "kft"


def test_the_folder_of_a_room_is_created(monkeypatch, tmp_path):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "own"))
    assert cache_folder("features") == tmp_path / "own" / "features"
    assert (tmp_path / "own" / "features").is_dir()
    assert cache_folder("features").is_dir()


def test_an_empty_cache_lists_nothing(caches):
    assert list_entries() == [] == list_rooms()
    cache_folder("features")
    assert list_entries() == []


def test_entries_are_listed_with_descriptions_most_recently_used_first():
    make("first", size=5000)
    make("second", room="decoded")
    make("third")
    make("first")
    listed = list_entries()
    assert keys(listed) == ["first", "third", "second"]
    assert listed[0].about == "entry first"
    assert 5000 < listed[0].num_bytes < 6000
    assert keys(list_entries("decoded")) == ["second"]


def test_folders_without_a_manifest_and_single_files_are_listed_too(caches):
    unpacked = caches / "unpacked" / "records"
    unpacked.mkdir(parents=True)
    (unpacked / "1.png").write_bytes(b"x" * 70)
    (cache_folder("engines") / "model.json").write_text("{}")
    found = {entry.key: (entry.room, entry.num_bytes, entry.about) for entry in list_entries()}
    assert found == {"records": ("unpacked", 70, ""), "model.json": ("engines", 2, "")}


def test_an_unknown_room_is_refused_with_the_names_of_the_others():
    make("key")
    with pytest.raises(ConfigError, match=r"no room 'feature'. Did you mean 'features'"):
        find_entries("feature")
    with pytest.raises(ConfigError, match="no room 'feature'"):
        find_clearable("feature")
    with pytest.raises(ConfigError, match="no entry whose name begins with 'x'"):
        find_clearable("features", "x")


def test_clearing_removes_unused_entries_and_reports_the_freed_bytes():
    held = make("held")
    make("free", size=5000)
    gc.collect()
    cleared = clear(find_clearable())
    assert keys(cleared.removed) == ["free"]
    assert keys(cleared.in_use) == ["held"]
    assert 5000 < cleared.freed_bytes < 6000
    assert keys(list_entries()) == ["held"]
    del held
    gc.collect()
    assert clear(find_clearable()).in_use == ()
    assert list_entries() == []


def test_clearing_all_spares_unpacked_records_which_are_cleared_by_name(caches):
    (caches / "unpacked" / "records").mkdir(parents=True)
    make("abc1")
    assert keys(find_clearable()) == ["abc1"]
    clear(find_clearable("unpacked"))
    assert not (caches / "unpacked" / "records").exists()


def test_one_entry_is_cleared_by_the_beginning_of_its_name():
    make("abc1")
    make("abd2")
    gc.collect()
    clear(find_clearable("features", "abc"))
    assert keys(list_entries()) == ["abd2"]


def test_partial_entries_are_cleared_and_counted(caches):
    partial = cache_folder("features") / ".key.0123abcd.partial"
    partial.mkdir()
    (partial / "values.bin").write_bytes(b"x" * 300)
    assert list_entries() == []
    assert clear([]).freed_bytes == 300
    assert list((caches / "features").iterdir()) == []
