"""Arrays written block by block, because they may not fit into memory."""

from __future__ import annotations

import math
import secrets
import shutil
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from kft.runs.caches import cache_folder, check_space, lock_path, make_partial_path, make_room
from kft.runs.locks import hold_exclusive
from kft.runs.storage import attach_path

# Rows held in memory at once while arrays are joined.
_JOINED_ROWS = 1024
_JOINED = "joined.npy"


def write_blocks(
    path: Path, blocks: Iterable[np.ndarray], shape: tuple[int, ...], dtype: str
) -> None:
    """Write an npy file from consecutive blocks of an array's rows.

    Args:
        path: The file; it holds a partial array if `blocks` raises.
        blocks: Arrays (rows, …) of `dtype`, which together make up the whole array.
        shape: Shape of the whole array.
        dtype: Name of the array's type.
    """
    write_all_blocks({path: (shape, np.dtype(dtype))}, ((block,) for block in blocks))


def write_all_blocks(
    files: Mapping[Path, tuple[tuple[int, ...], np.dtype]],
    blocks: Iterable[Sequence[np.ndarray]],
) -> None:
    """Write several npy files at once from consecutive blocks of their arrays' rows.

    Args:
        files: Shape and type of the whole array of each path; the files hold partial arrays if
            `blocks` raises.
        blocks: One array per file, in the order of `files`.
    """
    kinds = [np.dtype(kind) for _, kind in files.values()]
    with ExitStack() as stack:
        # Plain files: the pages of a memory map would count as this process's memory.
        opened = [stack.enter_context(path.open("wb")) for path in files]
        for file, (shape, _), kind in zip(opened, files.values(), kinds, strict=True):
            header = {"descr": kind.str, "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(file, header)
        starts = [file.tell() for file in opened]
        for arrays in blocks:
            for file, kind, array in zip(opened, kinds, arrays, strict=True):
                assert array.dtype == kind, f"a block has type {array.dtype}, not {kind}"
                file.write(np.ascontiguousarray(array).data)
        written = [file.tell() - start for file, start in zip(opened, starts, strict=True)]
    expected = [
        math.prod(shape) * kind.itemsize
        for (shape, _), kind in zip(files.values(), kinds, strict=True)
    ]
    assert written == expected, f"the blocks hold {written} of {expected} bytes"


def join_mapped(parts: Sequence[np.ndarray], *, room: str, limit_bytes: int) -> np.ndarray:
    """Concatenate arrays into one memory-mapped array, whose file is deleted with it.

    The file lies in the cache, where the leftovers of a killed process are found and removed.
    The system's temporary folder may be held in memory.

    Args:
        parts: At least one array (rows, …), all of one type; they may be memory-mapped.
        room: Room of the cache.
        limit_bytes: Size limit of the cache.

    Raises:
        ConfigError: The joined array does not fit into the cache.
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
    # The key is random: no other process looks for this array.
    folder = cache_folder(room) / f"joined-{secrets.token_hex(8)}"
    with ExitStack() as stack:
        # No other process removes the folder while this lock is held.
        stack.enter_context(hold_exclusive(lock_path(folder)))
        partial = make_partial_path(folder)
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        partial.mkdir()
        stack.enter_context(attach_path(folder))
        write_blocks(partial / _JOINED, blocks, shape, parts[0].dtype.name)
        joined: np.ndarray = np.load(partial / _JOINED, mmap_mode="r", allow_pickle=False)
        # Views of the array keep it alive, and so its file.
        weakref.finalize(joined, stack.pop_all().close)
    return joined
