"""Arrays that are written in blocks and joined."""

import gc
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from kft.errors import ConfigError
from kft.runs import arrays
from kft.runs.arrays import join_mapped, write_blocks
from kft.runs.caches import list_entries, remove_abandoned

VALUES = np.arange(60, dtype=np.float32).reshape(2, 5, 6)


def test_blocks_form_one_array_that_numpy_reads(tmp_path):
    rows = VALUES.reshape(10, 6)
    # A part of a larger array does not lie in one piece.
    blocks = [rows[:4], np.asfortranarray(rows[4:9]), rows[9:]]
    write_blocks(tmp_path / "a.npy", iter(blocks), (2, 5, 6), "float32")
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), VALUES)


@pytest.mark.parametrize(
    "blocks", [[VALUES[:1]], [VALUES, VALUES[:1]], [VALUES.astype(np.float64)], []]
)
def test_missing_surplus_or_wrongly_typed_rows_fail_an_assertion(tmp_path, blocks):
    with pytest.raises(AssertionError):
        write_blocks(tmp_path / "a.npy", blocks, (2, 5, 6), "float32")


def join(*arrays, limit_bytes=1000):
    return join_mapped(arrays, room="features", limit_bytes=limit_bytes)


def test_joined_rows_are_mapped_from_the_cache_while_they_are_used(tmp_path, caches, monkeypatch):
    monkeypatch.setattr(arrays, "_JOINED_ROWS", 3)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = VALUES.reshape(10, 6), VALUES.reshape(10, 6)[4:5] * 2
    joined = join(first, second)
    assert isinstance(joined, np.memmap)
    assert np.array_equal(joined, np.concatenate([first, second]))
    part = np.asarray(joined[9:])
    del joined
    gc.collect()
    # It is in use, though no entry.
    assert remove_abandoned() == 0
    assert len(list(caches.rglob("*.npy"))) == 1
    assert list_entries("features") == []
    assert np.array_equal(part, np.concatenate([first, second])[9:])
    del part
    gc.collect()
    assert list((caches / "features").iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_joined_rows_that_do_not_fit_are_refused_before_they_are_written(caches):
    rows = VALUES.reshape(10, 6)
    with pytest.raises(ConfigError, match=r"features.limit_gigabytes: .* 20 rows"):
        join(rows, rows, limit_bytes=479)
    assert list(caches.rglob("*.npy")) == []
    assert len(join(rows, rows, limit_bytes=480)) == 20


def test_a_failed_join_leaves_no_files(caches):
    with pytest.raises(AssertionError):
        join(VALUES.reshape(10, 6), VALUES.reshape(10, 6).astype(np.float64))
    assert list((caches / "features").iterdir()) == []


KILLED = """
import os
import numpy as np
from kft.runs.arrays import join_mapped

rows = np.ones((5, 6), np.float32)
joined = join_mapped([rows, rows], room="features", limit_bytes=1000)
os.kill(os.getpid(), 9)
"""


def test_joined_rows_of_a_killed_process_are_removed(caches):
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    (file,) = caches.rglob("*.npy")
    num_bytes = file.stat().st_size
    assert remove_abandoned() == num_bytes
    assert list((caches / "features").iterdir()) == []
