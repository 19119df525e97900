"""What reading and computing each picture once costs: D and f. Called in processes of their own."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kft.backbones import load_backbone
from kft.config import load_pipeline
from kft.data import load_splits
from kft.data.batches.example_cache import to_inputs
from kft.modalities import load_modality
from kft.model import compile_forward
from kft.startup import start_tensorflow

BATCH_SIZE = 32
# More pictures give no other mean.
MOST_DECODED = 1000
DECODE_PASSES = 5
FORWARD_SECONDS = 4.0

start_tensorflow()


def measure(data: str, settings: Sequence[str]) -> dict[str, float]:
    """D and f in milliseconds a picture, on all cores.

    `decode` is the median of five passes of tf.data over files that the
    operating system holds in memory: reading, decoding, resizing. `forward` is
    the median over batches of 32 of the backbone's Keras graph, pooled.
    """
    pipeline = load_pipeline(data, settings)
    backbone = load_backbone(pipeline.backbone)
    spec = backbone.input_spec
    modality = load_modality(spec.modality)
    decoder = modality.make_decoder(spec, modality.settings_of(pipeline.data))
    train = load_splits(pipeline.data, decode=False).train
    chosen = np.unique(np.linspace(0, len(train) - 1, min(MOST_DECODED, len(train))).astype(int))
    paths = tf.data.Dataset.from_tensor_slices([train.inputs.paths[i] for i in chosen])
    batches = paths.map(
        lambda path: decoder(tf.io.read_file(path)), num_parallel_calls=tf.data.AUTOTUNE
    ).batch(BATCH_SIZE)
    given = {
        name: keras.Input(element.shape, name=name, dtype=element.dtype)
        for name, element in spec.elements.items()
    }
    (prepared,) = spec.prepare(given).values()
    vector = keras.layers.GlobalAveragePooling2D()(backbone.model(prepared))
    forward = compile_forward(keras.Model(given, vector))
    batch = to_inputs(next(iter(batches)))
    size = len(next(iter(batch.values())))
    return {
        "decode": _time_passes(batches) / len(chosen) * 1e3,
        "forward": _time_calls(lambda: forward(batch)) / size * 1e3,
    }


def _time_passes(batches: tf.data.Dataset) -> float:
    """Seconds of a pass."""
    seconds = []
    # One more, which fills the operating system's cache.
    for _ in range(DECODE_PASSES + 1):
        begun = time.monotonic()
        for _ in batches:
            pass
        seconds.append(time.monotonic() - begun)
    return statistics.median(seconds[1:])


def _time_calls(call: Callable[[], Any]) -> float:
    call()
    seconds: list[float] = []
    while sum(seconds) < FORWARD_SECONDS:
        begun = time.monotonic()
        call()
        seconds.append(time.monotonic() - begun)
    return statistics.median(seconds)
