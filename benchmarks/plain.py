"""The peer: a Keras model of an application, tf.data, `compile` and `fit`, as Keras's guide has it.

Called in processes of its own. Pictures are decoded once (`cache`), batch
normalization rests, and steps are compiled without XLA, which Keras would
choose by itself and which on a CPU is several times slower.

Source: the guide "Transfer learning & fine-tuning" of keras.io.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from kft.startup import start_tensorflow

BATCH_SIZE = 32

start_tensorflow()


class CountedModel(keras.Model):
    """Counts how often its training step is traced."""

    traces = 0

    def train_step(self, data: Any) -> Any:
        """Runs as Python only where it is traced."""
        self.traces += 1
        return super().train_step(data)


class StepEnds(keras.callbacks.Callback):
    """When each step ended."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """One more."""
        self.times.append(time.monotonic())


def train(
    data: str,
    *,
    architecture: str = "MobileNetV2",
    options: dict[str, Any],
    size: int,
    epochs: int,
    trainable: Sequence[str] | None = (),
    augmentation: bool = False,
    optimizer: str = "adam",
    learning_rate: float = 1e-3,
    seed: int = 0,
    holdout: str | None = None,
) -> dict[str, Any]:
    """Fit the head, and some or all of a frozen application below it.

    Args:
        data: Folder of class folders.
        architecture: A class of `keras.applications`.
        options: Its arguments; `weights` is a file or null.
        size: Height and width of the pictures.
        epochs: Of `fit`.
        trainable: Names of its layers that train; null for all.
        augmentation: Mirrored, shifted and scaled by Keras's layers.
        optimizer: `adam` as in the guide, or `adamw` as kft's default: weight
            decay, clipped gradients, warmup, cosine.
        learning_rate: Peak rate.
        seed: Of weights, order and augmentation.
        holdout: Folder to judge on.

    Returns:
        `fit_seconds` from the first look at the files to the end of `fit`, the
        backbone being loaded before; `seconds_to_first_step`, the same up to
        the end of the first step; `step_seconds`, the mean after the first;
        `traces`; `accuracy` on the holdout.
    """
    keras.utils.set_random_seed(seed)
    base = getattr(keras.applications, architecture)(
        input_shape=(size, size, 3), include_top=False, **options
    )
    ends = StepEnds()
    begun = time.monotonic()
    dataset = read_folder(data, size)
    class_names, num_examples = dataset.class_names, len(dataset.file_paths)
    batches = _make_batches(dataset, augmentation, num_examples, seed)
    model = _make_model(base, trainable, len(class_names), size)
    steps = epochs * -(-num_examples // BATCH_SIZE)
    model.compile(
        optimizer=_make_optimizer(optimizer, learning_rate, steps),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )
    model.fit(batches, epochs=epochs, verbose=0, callbacks=[ends])
    ended = time.monotonic()
    accuracy = None
    if holdout is not None:
        judged = read_folder(holdout, size).batch(BATCH_SIZE)
        accuracy = model.evaluate(judged, verbose=0, return_dict=True)["accuracy"]
    return {
        "fit_seconds": ended - begun,
        "seconds_to_first_step": ends.times[0] - begun,
        "step_seconds": (ends.times[-1] - ends.times[0]) / max(1, len(ends.times) - 1),
        "traces": model.traces,
        "accuracy": accuracy,
    }


def read_folder(folder: str, size: int) -> tf.data.Dataset:
    """(pixels, class) of each picture, in order."""
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(size, size), batch_size=None, shuffle=False, verbose=False
    )


def _make_batches(
    dataset: tf.data.Dataset, augmentation: bool, num_examples: int, seed: int
) -> tf.data.Dataset:
    batches = dataset.cache().shuffle(num_examples, seed=seed).batch(BATCH_SIZE)
    if augmentation:
        layers = keras.Sequential(
            [
                keras.layers.RandomFlip("horizontal", seed=seed),
                keras.layers.RandomTranslation(0.1, 0.1, seed=seed),
                keras.layers.RandomZoom(0.1, seed=seed),
            ]
        )
        batches = batches.map(
            lambda pixels, target: (layers(pixels, training=True), target),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    return batches.prefetch(tf.data.AUTOTUNE)


def _make_model(
    base: keras.Model, trainable: Sequence[str] | None, num_classes: int, size: int
) -> CountedModel:
    for layer in base.layers:
        rests = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = not rests and (trainable is None or layer.name in trainable)
    pixels = keras.Input((size, size, 3))
    scaled = keras.layers.Rescaling(1 / 127.5, offset=-1)(pixels)
    vector = keras.layers.GlobalAveragePooling2D()(base(scaled, training=False))
    logits = keras.layers.Dense(num_classes)(keras.layers.Dropout(0.2)(vector))
    return CountedModel(pixels, logits)


def _make_optimizer(name: str, learning_rate: float, steps: int) -> keras.optimizers.Optimizer:
    if name == "adam":
        return keras.optimizers.Adam(learning_rate)
    warmup = max(1, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=learning_rate, warmup_steps=warmup
    )
    return keras.optimizers.AdamW(schedule, weight_decay=0.05, global_clipnorm=1.0)
