"""A set of examples, decoded: from their files, in memory, or kept on the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import tensorflow as tf

from kft.config import DataConfig
from kft.data.batches.example_cache import ExampleCache
from kft.data.batches.reading import make_reader, refuse_changed, translate_read_errors
from kft.examples import Examples, Progress
from kft.modalities import Decoder, Modality
from kft.runs.arrays import write_all_blocks
from kft.runs.caches import max_entry_bytes
from kft.runs.entries import open_or_build

# To be raised where decoding or the file changes.
FORMAT = 5
ROOM = "decoded"
_FILE = "{}.npy"  # by the name of the element


def describe_decoding(decoder: Decoder, modality: Modality, config: DataConfig) -> str:
    """Part of the key of what is computed from decoded examples: of other code it is another.

    Args:
        decoder: Its `repr` says how it decodes.
        modality: What is decoded.
        config: The `data` section, for what is read in place of a file.
    """
    return f"{decoder!r} {FORMAT} {modality.reading_key(modality.settings_of(config))}"


def make_decoded_cache(
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
        decoder: How.
        mode: `auto`: in memory up to `megabytes`, beyond that on the disk if
            the cache folder has room for them, else None.
        megabytes: Memory that `auto` may take.
        content_key: Digest of what decides the decoded examples and their order.
        limit_gigabytes: Size of the cache folder.
        progress: Called with (examples decoded, examples in all).
        on_wait: Called where another process is decoding them.

    Raises:
        DataError: Files that do not decode, by name.
        ConfigError: `disk`, but there is no room.
    """
    specs = decoder.output
    needed = len(examples) * sum(
        spec.shape.num_elements() * spec.dtype.size for spec in specs.values()
    )
    if mode == "none" or not len(examples):
        return None
    if mode == "memory" or (mode == "auto" and needed <= megabytes * 1_000_000):
        return _cache(decode_all(examples, decoder, progress))
    limit_bytes = int(limit_gigabytes * 1e9)
    if mode == "auto" and needed > max_entry_bytes(limit_bytes):
        return None

    def build(folder: Path) -> None:
        batches = _decode_batches(examples, decoder, progress)
        write_all_blocks(
            {
                folder / _FILE.format(name): (
                    (len(examples), *spec.shape),
                    spec.dtype.as_numpy_dtype,
                )
                for name, spec in specs.items()
            },
            ([batch[name] for name in specs] for batch in batches),
        )

    sizes = ", ".join(" x ".join(map(str, spec.shape)) for spec in specs.values())
    entry = open_or_build(
        ROOM,
        _make_key(content_key, decoder),
        build,
        about=f"{len(examples)} decoded examples of {sizes}",
        limit_bytes=limit_bytes,
        expected_bytes=needed,
        on_wait=on_wait,
    )
    if entry.was_cached and progress is not None:
        progress(len(examples), len(examples))
    values = {name: np.load(entry.path / _FILE.format(name), mmap_mode="r") for name in specs}
    return _cache(values, entry=entry)


def _cache(decoded: Mapping[str, np.ndarray], entry: object = None) -> ExampleCache:
    """Make a cache with arrays (examples, …) as its one view."""
    return ExampleCache({name: each[np.newaxis] for name, each in decoded.items()}, entry=entry)


def _make_key(content_key: str, decoder: Decoder) -> str:
    """Digest of what decides the decoded examples; TensorFlow is what decodes."""
    stated = f"{FORMAT}\n{tf.__version__}\n{content_key}\n{decoder!r}\n"
    return hashlib.sha256(stated.encode()).hexdigest()[:32]


def decode_all(
    examples: Examples, decoder: Decoder, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """Decode all examples to the elements in `decoder.output`, arrays (examples, …).

    Raises:
        DataError: Files that do not decode, by name.
    """
    arrays = {
        name: np.empty((len(examples), *spec.shape), spec.dtype.as_numpy_dtype)
        for name, spec in decoder.output.items()
    }
    done = 0
    for batch in _decode_batches(examples, decoder, progress):
        for name, values in batch.items():
            arrays[name][done : done + len(values)] = values
        done += _size_of(batch)
    return arrays


def _size_of(batch: Mapping[str, np.ndarray]) -> int:
    return len(next(iter(batch.values())))


def _decode_batches(
    examples: Examples, decoder: Decoder, progress: Progress | None
) -> Iterator[dict[str, np.ndarray]]:
    """Batches of decoded examples in order, as arrays."""
    read = make_reader(examples, decoder)
    batches = tf.data.Dataset.range(len(examples)).batch(32)
    decoded = batches.map(
        tf.autograph.experimental.do_not_convert(read),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    done = 0
    with translate_read_errors(examples, decoder):
        for batch in decoded.as_numpy_iterator():
            size = _size_of(batch)
            refuse_changed(examples, range(done, done + size))
            yield batch
            done += size
            if progress is not None:
                progress(done, len(examples))
