"""Arrays that are written block by block, since they need not fit into memory."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

# Rows that are in memory at once while arrays are joined.
_JOINED_ROWS = 1024


def write_blocks(
    path: Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: str
) -> None:
    """Write an npy file of an array that comes in blocks of its rows, in order.

    Args:
        path: Of the file; part of it is there already where `blocks` raises.
        blocks: Of that type; together they have all rows.
        shape: Of the whole array.
        dtype: Name of its type.
    """
    kind = np.dtype(dtype)
    # A file, not a memory map, whose pages would count as this process's memory.
    with path.open("wb") as file:
        header = {"descr": kind.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        start = file.tell()
        for block in blocks:
            assert block.dtype == kind, f"a block of {block.dtype}, not of {kind}"
            file.write(np.ascontiguousarray(block).data)
        given, expected = file.tell() - start, math.prod(shape) * kind.itemsize
    assert given == expected, f"{given} of {expected} bytes came"


def join_mapped(parts: Sequence[np.ndarray]) -> np.ndarray:
    """The rows of several arrays as one that is memory-mapped, on a file that goes with it.

    Args:
        parts: (rows, …), of one type, possibly memory-mapped; at least one.
    """
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    blocks = (
        np.array(part[start : start + _JOINED_ROWS])
        for part in parts
        for start in range(0, len(part), _JOINED_ROWS)
    )
    with tempfile.TemporaryDirectory(prefix="kft-") as folder:
        path = Path(folder, "joined.npy")
        write_blocks(path, blocks, shape, parts[0].dtype.name)
        # What is mapped stays when its name is gone.
        joined: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return joined
