"""Arrays that are written block by block, since they need not fit into memory."""

from __future__ import annotations

import math
import secrets
import shutil
import weakref
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from kft.runs.caches import cache_folder, check_space, lock_path, make_partial_path, make_room
from kft.runs.locks import hold_exclusive
from kft.runs.storage import attach_path

# Rows that are in memory at once while arrays are joined.
_JOINED_ROWS = 1024
_JOINED = "joined.npy"


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


def join_mapped(parts: Sequence[np.ndarray], *, room: str, limit_bytes: int) -> np.ndarray:
    """The rows of several arrays as one that is memory-mapped, on a file that goes with it.

    The file lies in the cache, where what a killed process leaves is found and removed: the
    system's folder for such files may be memory.

    Args:
        parts: (rows, …), of one type, possibly memory-mapped; at least one.
        room: Of the cache.
        limit_bytes: Size of the cache.

    Raises:
        ConfigError: There is no room for it.
    """
    shape = (sum(len(part) for part in parts), *parts[0].shape[1:])
    num_bytes = math.prod(shape) * parts[0].dtype.itemsize
    check_space(num_bytes, limit_bytes, what=f"{shape[0]} rows of several splits as one array")
    make_room(limit_bytes, for_bytes=num_bytes)
    blocks = (
        np.array(part[start : start + _JOINED_ROWS])
        for part in parts
        for start in range(0, len(part), _JOINED_ROWS)
    )
    # Nobody else looks for it: its key is drawn.
    folder = cache_folder(room) / f"joined-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        # As long as it is held, the folder is nobody's to remove.
        stack.enter_context(hold_exclusive(lock_path(folder)))
        partial = make_partial_path(folder)
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        partial.mkdir()
        stack.enter_context(attach_path(folder))
        write_blocks(partial / _JOINED, blocks, shape, parts[0].dtype.name)
        joined: np.ndarray = np.load(partial / _JOINED, mmap_mode="r", allow_pickle=False)
        # Views of the array keep it, and so the file.
        weakref.finalize(joined, stack.pop_all().close)
    return joined
