"""An array that comes in blocks is the array."""

import tempfile

import numpy as np
import pytest

from kft.runs import arrays
from kft.runs.arrays import join_mapped, write_blocks

VALUES = np.arange(60, dtype=np.float32).reshape(2, 5, 6)


def test_blocks_become_one_array_that_numpy_reads(tmp_path):
    rows = VALUES.reshape(10, 6)
    # A part of a larger array does not lie in one piece.
    blocks = [rows[:4], np.asfortranarray(rows[4:9]), rows[9:]]
    write_blocks(tmp_path / "a.npy", iter(blocks), (2, 5, 6), "float32")
    assert np.array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), VALUES)


@pytest.mark.parametrize(
    "blocks", [[VALUES[:1]], [VALUES, VALUES[:1]], [VALUES.astype(np.float64)], []]
)
def test_rows_that_are_missing_or_too_many_or_of_another_type_are_a_fault(tmp_path, blocks):
    with pytest.raises(AssertionError):
        write_blocks(tmp_path / "a.npy", blocks, (2, 5, 6), "float32")


def test_joined_rows_are_mapped_and_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "_JOINED_ROWS", 3)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = VALUES.reshape(10, 6), VALUES.reshape(10, 6)[4:5] * 2
    joined = join_mapped([first, second])
    assert isinstance(joined, np.memmap)
    assert np.array_equal(joined, np.concatenate([first, second]))
    assert list(tmp_path.iterdir()) == []
