"""Decoded pixels of a set of examples, from their files or held in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import tensorflow as tf

from kft.data.gate import Progress
from kft.data.splits import Examples
from kft.errors import DataError


class Decoder(Protocol):
    """Encoded bytes -> uint8 pixels of a fixed shape."""

    @property
    def output_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""

    def __call__(self, encoded: tf.Tensor) -> tf.Tensor:
        """The pixels of one example."""


@dataclass(frozen=True, eq=False)
class ExampleCache:
    """What was made of each example, in memory, gathered by index.

    Attributes:
        values: Decoded pixels, uint8 (examples, height, width, channels); or the
            activations of a frozen prefix, float32 (examples, …).
    """

    values: tf.Tensor

    def gather(self, indices: tf.Tensor) -> tf.Tensor:
        """The values of the examples at `indices`."""
        return tf.gather(self.values, indices)


def read_pixels(paths: tf.Tensor, decoder: Decoder) -> tf.Tensor:
    """Decode the files at `paths` (batch): uint8 (batch, height, width, channels)."""
    return tf.map_fn(
        lambda path: decoder(tf.io.read_file(path)),
        paths,
        fn_output_signature=tf.TensorSpec(decoder.output_shape, tf.uint8),
        parallel_iterations=32,
    )


def make_pixel_cache(
    examples: Examples,
    decoder: Decoder,
    *,
    mode: Literal["auto", "memory", "none"] = "auto",
    megabytes: int,
    progress: Progress | None = None,
) -> ExampleCache | None:
    """Decode every example once into memory, or None where the files are to be read each time.

    Args:
        examples: What to decode.
        decoder: Encoded bytes -> uint8 pixels.
        mode: `auto` caches where the pixels take at most `megabytes`.
        megabytes: Memory that `auto` may take.
        progress: Called with (examples decoded, examples in all).

    Raises:
        DataError: Files that do not decode, by name.
    """
    height, width, channels = decoder.output_shape
    needed = len(examples) * height * width * channels
    if mode == "none" or not len(examples) or (mode == "auto" and needed > megabytes * 1_000_000):
        return None
    return ExampleCache(decode_all(examples, decoder, progress))


def decode_all(examples: Examples, decoder: Decoder, progress: Progress | None = None) -> tf.Tensor:
    """The pixels of all examples: uint8 (examples, height, width, channels), on the CPU.

    While the last of it is copied, they take their size twice.

    Raises:
        DataError: Files that do not decode, by name.
    """
    batches = tf.data.Dataset.from_tensor_slices(list(examples.paths)).batch(32)
    decoded = batches.map(
        lambda paths: read_pixels(paths, decoder),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    pixels = np.empty((len(examples), *decoder.output_shape), np.uint8)
    done = 0
    with translate_read_errors(examples, decoder):
        for batch in decoded:
            pixels[done : done + len(batch)] = batch
            done += len(batch)
            if progress is not None:
                progress(done, len(examples))
    with tf.device("CPU"):
        return tf.constant(pixels)


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


@contextmanager
def translate_read_errors(examples: Examples, decoder: Decoder) -> Iterator[None]:
    """Around an iteration: an error of TensorFlow's becomes one that names the files behind it.

    Raises:
        DataError: Some file is missing or does not decode.
    """
    try:
        yield
    except tf.errors.OpError as error:
        problems = find_unreadable(examples, decoder)
        if not problems:
            raise
        shown = "\n".join(f"  - {path}: {reason}" for path, reason in problems[:10])
        raise DataError(
            f"{len(problems)} of {len(examples)} files can no longer be read; they changed after "
            f"they were checked. Put them back, then run again.\n{shown}"
        ) from error
