"""Where what can be made again is kept."""

from pathlib import Path

from kft.runs.caches import cache_folder, cache_root


def test_the_variable_of_kft_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "own"


def test_without_it_the_users_cache_folder_is_taken(monkeypatch, tmp_path):
    monkeypatch.delenv("KFT_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "kft"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_root() == Path.home() / ".cache" / "kft"


def test_the_folder_of_a_room_is_made(monkeypatch, tmp_path):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path / "own"))
    assert cache_folder("features") == tmp_path / "own" / "features"
    assert (tmp_path / "own" / "features").is_dir()
    assert cache_folder("features").is_dir()
