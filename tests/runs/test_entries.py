"""An entry is complete or absent, whatever is killed, waits, is damaged or is evicted."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kft.errors import ConfigError
from kft.runs import caches as caches_module
from kft.runs import entries
from kft.runs.entries import open_or_build

WORKER = Path(__file__).with_name("entry_worker.py")


class Maker:
    """Builder that writes two files and counts its calls."""

    def __init__(self, content: bytes = b"content", *, error: BaseException | None = None) -> None:
        self.calls = 0
        self._content = content
        self._error = error

    def __call__(self, folder: Path):
        self.calls += 1
        assert list(folder.iterdir()) == []
        (folder / "values.bin").write_bytes(self._content)
        if self._error is not None:
            raise self._error
        (folder / "inner").mkdir()
        (folder / "inner" / "names.txt").write_text("a\nb\n")
        return {"engine": "a test", "seconds": 1.5}


def make(maker=None, key="key", room="features", limit_bytes=10**9, **options):
    return open_or_build(
        room, key, maker or Maker(), about=f"entry {key}", limit_bytes=limit_bytes, **options
    )


def names(caches_folder: Path, room: str = "features") -> list[str]:
    return sorted(path.name for path in (caches_folder / room).iterdir())


def test_an_entry_is_built_once_and_then_found_with_its_facts(caches):
    first, second = Maker(), Maker()
    built = make(first)
    assert not built.was_cached
    found = make(second)
    assert found.was_cached
    assert (first.calls, second.calls) == (1, 0)
    assert (found.path / "values.bin").read_bytes() == b"content"
    assert dict(found.facts) == dict(built.facts) == {"engine": "a test", "seconds": 1.5}
    assert entries.read_manifest(found.path)["about"] == "entry key"
    assert names(caches) == ["key"], "neither lock nor temporary folder stays"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no")])
def test_a_build_that_fails_leaves_nothing(caches, error):
    with pytest.raises(type(error)):
        make(Maker(error=error))
    assert names(caches) == []
    assert make(Maker()).was_cached is False


FILES = ("entry.json", "values.bin", "inner/names.txt")


def test_the_damage_tests_cover_every_file_of_an_entry():
    path = make().path
    found = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert found == set(FILES)


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(bytes(content))


def truncate(path: Path, place: int) -> None:
    path.write_bytes(path.read_bytes()[:place])


def grow(path: Path, _: int) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def remove(path: Path, _: int) -> None:
    path.unlink()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("damage", [flip, truncate, grow, remove])
def test_damage_to_any_file_is_detected_and_the_entry_is_rebuilt(file, damage):
    path = make().path
    before = {name: (path / name).read_bytes() for name in FILES}
    damage(path / file, len(before[file]) // 2)
    maker = Maker()
    assert make(maker).was_cached is False
    assert maker.calls == 1
    assert {name: (path / name).read_bytes() for name in FILES} == before
    assert make(maker).was_cached


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_no_flipped_bit_changes_the_content_of_the_manifest(caches, place, bit):
    shutil.rmtree(caches / "features", ignore_errors=True)
    path = make().path
    sound = entries.read_manifest(path)
    content = bytearray((path / "entry.json").read_bytes())
    content[place % len(content)] ^= 1 << bit
    (path / "entry.json").write_bytes(bytes(content))
    # White space between the parts says nothing.
    assert entries.read_manifest(path) in (None, sound)


def test_a_reader_of_a_damaged_entry_keeps_its_files_while_it_is_rebuilt():
    entry = make()
    with (entry.path / "values.bin").open("rb") as held:
        flip(entry.path / "inner/names.txt", 0)
        assert make(Maker(b"other")).was_cached is False
        assert held.read() == b"content"


def test_an_entry_of_another_format_is_rebuilt(monkeypatch):
    make()
    monkeypatch.setattr(entries, "FORMAT", entries.FORMAT + 1)
    assert make().was_cached is False


# Several processes.


class Worker:
    """A process that runs entry_worker.py and talks in lines."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

    def hear(self) -> str:
        return self.process.stdout.readline().strip()

    def go_on(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def test_one_of_two_processes_builds_while_the_other_waits_and_reads(caches):
    with Worker("key", "hold") as first:
        assert first.hear() == "building"
        with Worker("key") as second:
            assert second.hear() == "waiting"
            first.go_on()
            assert first.hear() == "has the value, cached: False"
            assert second.hear() == "has the value, cached: True"
    assert names(caches) == ["key"]


def test_a_process_waiting_for_a_killed_writer_builds_the_entry_itself(caches):
    with Worker("key", "hold") as first:
        assert first.hear() == "building"
        with Worker("key") as second:
            assert second.hear() == "waiting"
            os.kill(first.process.pid, signal.SIGKILL)
            assert second.hear() == "building"
            assert second.hear() == "has the value, cached: False"
    assert names(caches) == ["key"], "what the killed one had left is gone"


def test_leftovers_of_a_killed_writer_of_another_entry_are_removed(caches):
    with Worker("key", "hold") as first:
        assert first.hear() == "building"
        make(key="other")
        assert len([name for name in names(caches) if name.endswith(".partial")]) == 1
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
        make(key="third")
    assert names(caches) == ["other", "third"]


def test_an_entry_used_by_another_process_is_not_evicted(caches):
    with Worker("used") as worker:
        assert worker.hear() == "building"
        assert worker.hear() == "has the value, cached: False"
        make(Maker(b"x" * 1000), "large", limit_bytes=1400)
        assert names(caches) == ["large", "used"]
    gc.collect()
    make(Maker(), "small", limit_bytes=1)
    assert names(caches) == ["small"]


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors in /proc")
def test_another_users_entry_is_read_although_its_use_cannot_be_recorded(monkeypatch):
    make()
    gc.collect()
    before = count_descriptors()

    def refuse(path, ns):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", refuse)
    maker = Maker()
    found = make(maker)
    assert found.was_cached
    assert maker.calls == 0
    del found
    gc.collect()
    assert count_descriptors() == before


# Eviction.


def test_an_entry_in_use_by_this_process_is_evicted_only_after_its_release(caches):
    held = make(key="held")
    make(key="second", limit_bytes=1)
    gc.collect()
    assert "held" in names(caches)
    del held
    gc.collect()
    make(key="third", limit_bytes=1)
    assert names(caches) == ["third"]


def test_pixels_and_features_share_one_limit(caches):
    make(key="old", room="decoded")
    gc.collect()
    make(key="new", limit_bytes=1)
    assert names(caches, "decoded") == []


def test_records_without_locks_are_not_evicted(caches):
    unpacked = caches / "unpacked" / "key"
    unpacked.mkdir(parents=True)
    (unpacked / "000.png").write_bytes(b"x" * 5000)
    make(limit_bytes=1)
    assert (unpacked / "000.png").exists()


def test_an_entry_over_the_limit_is_refused_before_it_is_built(caches):
    maker = Maker()
    with pytest.raises(ConfigError, match=r"features.limit_gigabytes: found 2e-06, but entry key"):
        make(maker, limit_bytes=2000, expected_bytes=3000)
    assert maker.calls == 0
    assert names(caches) == []


def test_nothing_is_evicted_for_an_entry_that_would_not_fit_anyway(caches, disk_of):
    make(key="old")
    gc.collect()
    for limit_bytes in (2000, 10**9):
        with pytest.raises(ConfigError):
            make(limit_bytes=limit_bytes, expected_bytes=3000)
        assert names(caches) == ["old"]
        disk_of(2500)


@pytest.fixture
def disk_of(caches, monkeypatch):
    """Set the size of a simulated disk that holds nothing but the cache without its tag."""

    def shrink(num_bytes: int) -> None:
        def usage(path):
            files = [file for file in caches.rglob("*") if file.is_file()]
            taken = sum(file.stat().st_size for file in files if file.name != "CACHEDIR.TAG")
            return SimpleNamespace(free=num_bytes - taken)

        monkeypatch.setattr(caches_module.shutil, "disk_usage", usage)

    return shrink


def test_an_entry_that_does_not_fit_on_the_disk_is_refused(disk_of):
    disk_of(1000)
    with pytest.raises(ConfigError, match="KFT_CACHE_DIR"):
        make(expected_bytes=3000)


def test_a_full_disk_causes_eviction_like_the_limit(caches, disk_of):
    for key in ("first", "second", "third"):
        make(Maker(b"x" * 1000), key)
    gc.collect()
    disk_of(5500)
    make(Maker(b"x" * 2000), "new", expected_bytes=2000)
    assert names(caches) == ["new", "second", "third"]


def test_an_entry_in_use_frees_no_space_on_a_full_disk(caches, disk_of):
    held = make(Maker(b"x" * 1000), "held")
    disk_of(2500)
    assert caches_module.max_entry_bytes(10**9) < 1500
    with pytest.raises(ConfigError, match="are free or can be freed"):
        make(expected_bytes=1500)
    del held
    gc.collect()
    assert caches_module.max_entry_bytes(10**9) == 2500
    assert caches_module.max_entry_bytes(2000) == 2000
    make(expected_bytes=1500)


def test_leftovers_of_a_killed_writer_count_as_free_space(caches, disk_of):
    partial = caches_module.cache_folder("features") / ".key.0123abcd.partial"
    partial.mkdir()
    (partial / "values.bin").write_bytes(b"x" * 300)
    disk_of(1000)
    assert caches_module.max_entry_bytes(10**9) == 1000


def test_free_space_is_known_before_the_cache_folder_exists(caches, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(caches / "not" / "there"))
    assert caches_module.max_entry_bytes(10) == 10
    assert not (caches / "not").exists()


ACTIONS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 9)), max_size=14)


@settings(deadline=None, max_examples=40)
@given(actions=ACTIONS, limit=st.integers(4, 20))
def test_the_most_recently_used_entries_stay(actions, limit):
    """Compare with a model of the cache: entries in order of use, in units of 10 kB."""
    kept: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KFT_CACHE_DIR", folder)
        for key, size in actions:
            was_there = key in kept
            kept[key] = kept.pop(key, size)
            # The half unit is for the manifests.
            entry = make(Maker(b"x" * size * 10_000), key, limit_bytes=limit * 10_000 + 5000)
            assert entry.was_cached is was_there
            del entry
            while not was_there and len(kept) > 1 and sum(kept.values()) > limit:
                del kept[next(iter(kept))]
            assert set(names(Path(folder))) == set(kept)
