"""Decoded pixels of a set of examples: from their files, in memory, or kept on the disk."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import tensorflow as tf

from kft.data.batches.example_cache import ExampleCache
from kft.data.paths import describe_failure
from kft.data.reason_groups import list_by_reason
from kft.data.refusing import make_unreadable_error
from kft.errors import DataError
from kft.examples import Examples, Progress
from kft.runs.arrays import write_blocks
from kft.runs.caches import max_entry_bytes
from kft.runs.entries import open_or_build

# To be raised where decoding or the file changes.
FORMAT = 3
_ROOM = "pixels"
_FILE = "pixels.npy"


class Decoder(Protocol):
    """Encoded bytes -> uint8 pixels of a fixed shape; equal decoders give the same pixels."""

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""

    def __call__(self, encoded: tf.Tensor) -> tf.Tensor:
        """The pixels of one example."""

    def __hash__(self) -> int:
        """Of what decides the pixels: they are read by one graph for each decoder."""


def read_pixels(paths: tf.Tensor, decoder: Decoder) -> tf.Tensor:
    """Decode the files at `paths` (batch): uint8 (batch, height, width, channels)."""
    return _make_reader(decoder)(paths)


@cache
def _make_reader(decoder: Decoder) -> Callable[[tf.Tensor], tf.Tensor]:
    """`read_pixels` of a decoder, traced once for all data sets of a process."""

    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None,), tf.string)])
    def read(paths: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda path: decoder(tf.io.read_file(path)),
            paths,
            fn_output_signature=tf.TensorSpec(decoder.output_shape, tf.uint8),
            parallel_iterations=32,
        )

    return read


def make_pixel_cache(
    examples: Examples,
    decoder: Decoder,
    *,
    mode: Literal["auto", "memory", "disk", "none"] = "auto",
    megabytes: float,
    content_key: str,
    limit_gigabytes: float,
    progress: Progress | None = None,
    on_wait: Callable[[], None] | None = None,
) -> ExampleCache | None:
    """Decode every example once, or None where the files are to be read each time.

    On the disk they outlive the run: the next one decodes nothing.

    Args:
        examples: What to decode.
        decoder: Encoded bytes -> uint8 pixels.
        mode: `auto`: in memory up to `megabytes`, beyond that on the disk if
            the cache folder has room for them, else None.
        megabytes: Memory that `auto` may take.
        content_key: Digest of what decides the pixels and their order.
        limit_gigabytes: Size of the cache folder.
        progress: Called with (examples decoded, examples in all).
        on_wait: Called where another process is decoding them.

    Raises:
        DataError: Files that do not decode, by name.
        ConfigError: `disk`, but there is no room.
    """
    needed = len(examples) * math.prod(decoder.output_shape)
    if mode == "none" or not len(examples):
        return None
    if mode == "memory" or (mode == "auto" and needed <= megabytes * 1_000_000):
        return ExampleCache(decode_all(examples, decoder, progress)[np.newaxis])
    limit_bytes = int(limit_gigabytes * 1e9)
    if mode == "auto" and needed > max_entry_bytes(limit_bytes):
        return None
    shape = (len(examples), *decoder.output_shape)

    def build(folder: Path) -> None:
        write_blocks(folder / _FILE, _decode_batches(examples, decoder, progress), shape, "uint8")

    entry = open_or_build(
        _ROOM,
        _make_key(content_key, decoder),
        build,
        about=f"{len(examples)} decoded pictures of {shape[1]} x {shape[2]}",
        limit_bytes=limit_bytes,
        expected_bytes=needed,
        on_wait=on_wait,
    )
    if entry.was_cached and progress is not None:
        progress(len(examples), len(examples))
    pixels = np.load(entry.path / _FILE, mmap_mode="r")
    return ExampleCache(pixels[np.newaxis], entry=entry)


def _make_key(content_key: str, decoder: Decoder) -> str:
    """Digest of what decides the pixels; TensorFlow is what decodes and resizes."""
    stated = f"{FORMAT}\n{tf.__version__}\n{content_key}\n{decoder!r}\n"
    return hashlib.sha256(stated.encode()).hexdigest()[:32]


def decode_all(
    examples: Examples, decoder: Decoder, progress: Progress | None = None
) -> np.ndarray:
    """The pixels of all examples: uint8 (examples, height, width, channels).

    Raises:
        DataError: Files that do not decode, by name.
    """
    pixels = np.empty((len(examples), *decoder.output_shape), np.uint8)
    done = 0
    for batch in _decode_batches(examples, decoder, progress):
        pixels[done : done + len(batch)] = batch
        done += len(batch)
    return pixels


def _decode_batches(
    examples: Examples, decoder: Decoder, progress: Progress | None
) -> Iterator[np.ndarray]:
    """Batches of pixels in order."""
    batches = tf.data.Dataset.from_tensor_slices(list(examples.paths)).batch(32)
    decoded = batches.map(
        tf.autograph.experimental.do_not_convert(lambda paths: read_pixels(paths, decoder)),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    done = 0
    with translate_read_errors(examples, decoder):
        for batch in decoded.as_numpy_iterator():
            refuse_changed(examples, range(done, done + len(batch)))
            yield batch
            done += len(batch)
            if progress is not None:
                progress(done, len(examples))


def find_unreadable(examples: Examples, decoder: Decoder) -> list[tuple[str, str]]:
    """Path and reason of each example that cannot be read or decoded now, one by one.

    For after a failed iteration: tf.data does not say which file it was.
    """
    problems = []
    for path in examples.paths:
        try:
            decoder(tf.io.read_file(path))
        except tf.errors.OpError as error:
            problems.append((path, error.message.splitlines()[0]))
    return problems


def refuse_changed(examples: Examples, positions: Iterable[int] | None = None) -> None:
    """Make sure that files are still those that were checked, by their size and time of change.

    For after they were read: so what was read is what was checked.

    Args:
        examples: What was read; those without stamps pass.
        positions: Of the examples to look at; None for all.

    Raises:
        DataError: It names files that changed or vanished.
    """
    if examples.stamps is None:
        return
    looked_at = range(len(examples)) if positions is None else positions
    problems = [(examples.paths[i], what) for i in looked_at if (what := _find_change(examples, i))]
    if problems:
        raise DataError(
            f"{len(problems)} of {len(examples)} pictures changed since they were checked, so that "
            "this run would use others than it says. Let nothing write there meanwhile, and run "
            f"again.\n{list_by_reason(problems)}"
        )


def _find_change(examples: Examples, position: int) -> str | None:
    assert examples.stamps is not None
    path = examples.paths[position]
    try:
        status = Path(path).stat()
    except OSError as error:
        return describe_failure(path, error)
    is_same = (status.st_size, status.st_mtime_ns) == examples.stamps[position]
    return None if is_same else "written anew"


@contextmanager
def translate_read_errors(examples: Examples, decoder: Decoder) -> Iterator[None]:
    """Around an iteration: an error of TensorFlow's becomes one that names the files behind it.

    Raises:
        DataError: Some file is missing, changed since it was checked, or does not decode.
    """
    try:
        yield
    except tf.errors.OpError as error:
        refuse_changed(examples)
        problems = find_unreadable(examples, decoder)
        if not problems:
            raise
        raise make_unreadable_error(problems, len(examples)) from error
