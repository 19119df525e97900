"""Activations at a cut, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from kft.features.cut import Cut
from kft.model import compile_forward, flatten_layers
from kft.runs.atomic import atomic_directory, write_json
from kft.runs.caches import cache_folder

FORMAT = 1


@dataclass(frozen=True)
class Stored:
    """Activations of one split.

    Attributes:
        activations: float32 (examples, …), memory-mapped, in the order of the split.
        was_cached: Whether an earlier run had computed them.
    """

    activations: np.ndarray
    was_cached: bool


def load_or_extract(
    cut: Cut,
    pixels: Iterable[tf.Tensor],
    *,
    content_key: str,
    num_examples: int,
    progress: Callable[[int, int], None],
) -> Stored:
    """The activations of every example at the cut, from the disk if they are there.

    Args:
        cut: Where the prefix ends.
        pixels: Batches of pixels (batch, height, width, 3) in the order of the split; begun
            only where the activations are not on the disk.
        content_key: Digest of everything that decides the pixels: files,
            contents, order, decoding.
        num_examples: How many there are.
        progress: Told how many are done of how many.
    """
    key = _entry_key(cut, content_key)
    entry = cache_folder("features") / key
    stored = _read(entry, num_examples)
    if stored is not None:
        progress(num_examples, num_examples)
        return Stored(stored, was_cached=True)
    if entry.exists():
        # Not whole: what a disk or a user damaged is made anew.
        shutil.rmtree(entry)
    try:
        with atomic_directory(entry) as folder:
            _extract(cut.prefix, pixels, folder, num_examples, progress)
            write_json(folder / "entry.json", {"format": FORMAT, "cut": cut.name, "key": key})
    except OSError:
        # Another process finished the same entry first: its numbers are these.
        if _read(entry, num_examples) is None:
            raise
    stored = _read(entry, num_examples)
    assert stored is not None
    return Stored(stored, was_cached=False)


def _entry_key(cut: Cut, content_key: str) -> str:
    digest = hashlib.sha256()
    digest.update(
        json.dumps([FORMAT, content_key, cut.name, tf.__version__, keras.__version__]).encode()
    )
    # The graph and its weights: two backbones with one name must not meet in one entry.
    digest.update(_describe_graph(cut.prefix).encode())
    for variable in cut.prefix.variables:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()[:32]


def _describe_graph(model: keras.Model) -> str:
    """A model's layers and calls, without the names that depend on what was built before it."""
    ordinals = {layer.name: f"#{i}" for i, layer in enumerate(flatten_layers(model))}
    return re.sub(
        r'"([^"]*)"', lambda quoted: f'"{ordinals.get(quoted[1], quoted[1])}"', model.to_json()
    )


def _read(entry: Path, num_examples: int) -> np.ndarray | None:
    try:
        values = np.load(entry / "activations.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return values if len(values) == num_examples else None


def _extract(
    prefix: keras.Model,
    pixels: Iterable[tf.Tensor],
    folder: Path,
    num_examples: int,
    progress: Callable[[int, int], None],
) -> None:
    forward = compile_forward(prefix)
    shape = (num_examples, *prefix.output.shape[1:])
    values = np.lib.format.open_memmap(
        os.fspath(folder / "activations.npy"), mode="w+", dtype=np.float32, shape=shape
    )
    done = 0
    for batch in pixels:
        activations = forward(batch).numpy()
        values[done : done + len(activations)] = activations
        done += len(activations)
        progress(done, num_examples)
    assert done == num_examples, f"{done} of {num_examples} examples came"
    values.flush()
