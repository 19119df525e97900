"""Arrays that are written block by block, since they need not fit into memory."""

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
from kft.runs.locks import hold_alone
from kft.runs.storage import naming

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
    write_all_blocks({path: (shape, np.dtype(dtype))}, ((block,) for block in blocks))


def write_all_blocks(
    files: Mapping[Path, tuple[tuple[int, ...], np.dtype]],
    blocks: Iterable[Sequence[np.ndarray]],
) -> None:
    """Write several npy files at once, of arrays that come together in blocks of their rows.

    Args:
        files: Path -> shape and type of the whole array; part of each is there already where
            `blocks` raises.
        blocks: An array for each file, in their order.
    """
    kinds = [np.dtype(kind) for _, kind in files.values()]
    with ExitStack() as stack:
        # Files, not memory maps, whose pages would count as this process's memory.
        opened = [stack.enter_context(path.open("wb")) for path in files]
        for file, (shape, _), kind in zip(opened, files.values(), kinds, strict=True):
            header = {"descr": kind.str, "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(file, header)
        starts = [file.tell() for file in opened]
        for arrays in blocks:
            for file, kind, array in zip(opened, kinds, arrays, strict=True):
                assert array.dtype == kind, f"a block of {array.dtype}, not of {kind}"
                file.write(np.ascontiguousarray(array).data)
        given = [file.tell() - start for file, start in zip(opened, starts, strict=True)]
    expected = [
        math.prod(shape) * kind.itemsize
        for (shape, _), kind in zip(files.values(), kinds, strict=True)
    ]
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
        stack.enter_context(hold_alone(lock_path(folder)))
        partial = make_partial_path(folder)
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        partial.mkdir()
        stack.enter_context(naming(folder))
        write_blocks(partial / _JOINED, blocks, shape, parts[0].dtype.name)
        joined: np.ndarray = np.load(partial / _JOINED, mmap_mode="r", allow_pickle=False)
        # Views of the array keep it, and so the file.
        weakref.finalize(joined, stack.pop_all().close)
    return joined
