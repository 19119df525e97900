"""How fast files become pixels. Called in processes of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from kft.config import load_pipeline
from kft.data import load_splits
from kft.data.batches.pipeline import make_dataset
from kft.examples import Splits
from kft.modalities.image.decoding import ImageDecoder
from kft.startup import start_tensorflow

BATCH_SIZE = 32
# Links lead out of the folder, wherever the real files are.
SETTINGS = ("data.validation=0", "data.holdout=0", "data.folders.allowed_roots=[/]")

start_tensorflow()


def measure_readers(data: str, size: int, passes: int) -> dict[str, dict[str, float]]:
    """Of each reader the seconds to its first batch, and pictures a second from there on.

    The best of two turns after a first.
    """
    splits = _load(data)
    files = tf.data.Dataset.from_tensor_slices(list(splits.train.inputs.paths)).repeat(passes)
    decoder = ImageDecoder(size, size)

    def unscaled() -> tf.data.Dataset:
        def read(path: tf.Tensor) -> tf.Tensor:
            # One number is handed on, so that no batch of different sizes is to be made.
            return tf.io.decode_jpeg(tf.io.read_file(path), channels=3)[0, 0, 0]

        return _map(files, read).batch(BATCH_SIZE)

    def bare() -> tf.data.Dataset:
        def read(path: tf.Tensor) -> tf.Tensor:
            picture = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
            small = tf.image.resize(picture, (size, size), antialias=True)
            return tf.cast(tf.round(tf.clip_by_value(small, 0.0, 255.0)), tf.uint8)

        return _map(files, read).batch(BATCH_SIZE)

    def kft() -> tf.data.Dataset:
        return make_dataset(
            splits.train, decoder, batch_size=BATCH_SIZE, shuffle_seed=0, epochs=passes
        )

    readers: dict[str, Callable[[], Iterable[Any]]] = {
        "bare, unscaled": unscaled,
        "bare": bare,
        "kft": kft,
        "image_dataset_from_directory": lambda: _read_by_keras(data, size).repeat(passes),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in readers}
    for _ in range(3):
        for name, make in readers.items():
            taken[name].append(_time(make))
    return {
        name: {
            "start": min(start for start, _ in turns[1:]),
            "speed": max(speed for _, speed in turns[1:]),
        }
        for name, turns in taken.items()
    }


def measure_gate(data: str, size: int) -> float:
    """Seconds of finding, checking and splitting, as before training."""
    begun = time.monotonic()
    load_splits(load_pipeline(data, ("data.folders.allowed_roots=[/]",)).data, decode=False)
    return time.monotonic() - begun


def measure_keras(data: str, size: int) -> float:
    """Seconds of one pass of Keras's own reader, its start inside."""
    begun = time.monotonic()
    for _ in _read_by_keras(data, size):
        pass
    return time.monotonic() - begun


def _load(data: str) -> Splits:
    return load_splits(load_pipeline(data, SETTINGS).data, decode=False)


def _read_by_keras(data: str, size: int) -> tf.data.Dataset:
    return keras.utils.image_dataset_from_directory(
        data, image_size=(size, size), batch_size=BATCH_SIZE, seed=0, verbose=False
    ).prefetch(tf.data.AUTOTUNE)


def _map(files: tf.data.Dataset, read: Callable[[tf.Tensor], tf.Tensor]) -> tf.data.Dataset:
    return files.map(read, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _time(make: Callable[[], Iterable[Any]]) -> tuple[float, float]:
    """Seconds until the first batch is there, and pictures a second from then on."""
    begun = time.monotonic()
    batches = iter(make())
    next(batches)
    first = time.monotonic()
    # The inputs of kft's batches have names.
    count = sum(len(tf.nest.flatten(batch)[0]) for batch in batches)
    return first - begun, count / (time.monotonic() - first)
