"""Cache of decoded examples or activations, in memory or on disk, gathered by index."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

# tf.data copies the tensors that a function of it uses, for each iterator: only small ones are
# given to it as tensors. It reads arrays by a call, some 0.1 ms a batch slower.
_LARGEST_TENSOR_BYTES = 64_000_000


class Cache(Protocol):
    """Cache of one result per example."""

    def gather(self, indices: tf.Tensor, epoch: tf.Tensor | int = 0) -> Any:
        """The tensors of the examples at `indices` (batch), each as it is in its epoch."""


def to_inputs(values: Any) -> Any:
    """Convert kept values to inputs of a model: bytes and short floats become float32.

    Whole numbers that are signed, such as those of words, and texts stay what they are.
    """

    def widen(value: tf.Tensor) -> tf.Tensor:
        is_short = value.dtype.is_floating or value.dtype.is_unsigned
        return tf.cast(value, tf.float32) if is_short else value

    return tf.nest.map_structure(widen, values)


class ExampleCache:
    """Decoded examples, or the activations of a frozen prefix, of every example and view.

    Args:
        values: (views, examples, …) in memory; or a memory-mapped array of a
            file, of which no more is read than what is asked for. 16-bit
            floats come out as float32. Or a mapping of names to such arrays.
        entry: What keeps that file from being removed; held as long as the cache is.

    Attributes:
        num_views: How many views there are; 1 where examples are not augmented.
        num_examples: How many examples there are.
    """

    def __init__(self, values: Any, *, entry: object = None) -> None:
        first = tf.nest.flatten(values)[0]
        self.num_views, self.num_examples = (int(size) for size in first.shape[:2])
        self._entry = entry
        self._rows = tf.nest.map_structure(_make_rows, values)

    def gather(self, indices: tf.Tensor, epoch: tf.Tensor | int = 0) -> Any:
        """The tensors of the examples at `indices` (batch); of view `epoch % num_views`.

        Args:
            indices: Of the examples (batch).
            epoch: Which time they come, from 0: one number, or one for each (batch).
        """
        view = tf.cast(epoch, tf.int64) % self.num_views
        places = view * self.num_examples + tf.cast(indices, tf.int64)

        def gather(rows: _Rows) -> tf.Tensor:
            values = rows.gather(places)
            return tf.cast(values, tf.float32) if values.dtype == tf.float16 else values

        return tf.nest.map_structure(gather, self._rows)


class JoinedCache:
    """Several caches as one: the examples of each come after those of the one before."""

    def __init__(self, parts: Sequence[ExampleCache]) -> None:
        self._parts = tuple(parts)
        self._starts = np.cumsum([0, *(part.num_examples for part in parts)])

    def gather(self, indices: tf.Tensor, epoch: tf.Tensor | int = 0) -> Any:
        """See `ExampleCache.gather`."""
        indices = tf.cast(indices, tf.int64)
        epochs = tf.broadcast_to(tf.cast(epoch, tf.int64), tf.shape(indices))
        places, found = [], []
        for part, (start, stop) in zip(self._parts, pairwise(self._starts), strict=True):
            own = tf.where((indices >= start) & (indices < stop))[:, 0]
            places.append(own)
            found.append(part.gather(tf.gather(indices, own) - start, tf.gather(epochs, own)))
        # Each place is that of one value.
        order = tf.argsort(tf.concat(places, axis=0))
        return tf.nest.map_structure(
            lambda *values: tf.gather(tf.concat(values, axis=0), order), *found
        )


class PartOfCache:
    """Some examples of a cache, under numbers of their own.

    Args:
        whole: Cache of all examples.
        rows: Indices of the chosen examples, int64 (examples,).
    """

    def __init__(self, whole: Cache, rows: np.ndarray) -> None:
        self._whole = whole
        self._rows = tf.constant(rows, tf.int64)

    def gather(self, indices: tf.Tensor, epoch: tf.Tensor | int = 0) -> Any:
        """See `ExampleCache.gather`."""
        return self._whole.gather(tf.gather(self._rows, indices), epoch)


class _Rows(Protocol):
    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """The rows of those numbers, int64 (batch)."""


def _make_rows(values: tf.Tensor | np.ndarray) -> _Rows:
    if isinstance(values, np.memmap):
        return _FileRows(values)
    array = values if isinstance(values, np.ndarray) else values.numpy()
    array = array.reshape((array.shape[0] * array.shape[1], *array.shape[2:]))
    if array.nbytes > _LARGEST_TENSOR_BYTES:
        return _ArrayRows(array)
    return _TensorRows(tf.constant(array))


class _TensorRows:
    def __init__(self, values: tf.Tensor) -> None:
        self._values = values

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        return tf.gather(self._values, rows)


class _ArrayRows:
    def __init__(self, values: np.ndarray) -> None:
        self._values = values

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        return _call(self._read, rows, self._values.shape[1:], self._values.dtype)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        return np.take(self._values, rows, axis=0)


class _FileRows:
    """The rows of a mapped file by plain reads.

    Through the map, what was ever read would count as memory of this process,
    and a page that is still on the disk would stop every Python thread.
    """

    def __init__(self, values: np.memmap) -> None:
        assert values.flags.c_contiguous, "rows of a cache lie one after the other"
        assert values.filename is not None
        self._shape, self._dtype = values.shape[2:], values.dtype
        self._row_bytes = int(np.prod(self._shape, dtype=np.int64)) * values.itemsize
        self._start = _find_start(values)
        self._name = values.filename
        self._descriptor = os.open(self._name, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        return _call(self._read, rows, self._shape, self._dtype)

    def _read(self, rows: np.ndarray) -> np.ndarray:
        values = np.empty((len(rows), *self._shape), self._dtype)
        # Rows that follow each other are one read: a whole batch, where it comes in order.
        bounds = [*np.flatnonzero(np.diff(rows, prepend=-2) != 1), len(rows)]
        for start, stop in pairwise(bounds):
            place = self._start + int(rows[start]) * self._row_bytes
            self._fill(values[start:stop].data.cast("B"), place)
        return values

    def _fill(self, wanted: memoryview, place: int) -> None:
        while len(wanted):
            count = os.preadv(self._descriptor, [wanted], place)
            if not count:
                raise OSError(f"{self._name} ends at byte {place}, before its last row")
            wanted, place = wanted[count:], place + count


def _find_start(values: np.memmap) -> int:
    """Byte of the file at which a mapped array begins, also where it is a part of a larger one."""
    whole: np.ndarray = values
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    assert isinstance(whole, np.memmap)
    return int(whole.offset) + values.ctypes.data - whole.ctypes.data


def _call(
    read: Callable[[np.ndarray], np.ndarray],
    rows: tf.Tensor,
    shape: tuple[int, ...],
    dtype: np.dtype,
) -> tf.Tensor:
    values = tf.numpy_function(read, [rows], dtype, stateful=False)
    return tf.ensure_shape(values, (*rows.shape, *shape))
