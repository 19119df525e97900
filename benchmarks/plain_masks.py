"""The peer of masks: DeepLabV3+ as the example of keras.io has it, for as long as it is given.

Called in processes of its own. Pictures are decoded once (`cache`) and mirrored half of the time;
the backbone is MobileNetV2 with its pretrained weights, all of which train with batch normalization
at rest; Adam at 1e-3 as in the example.

Source: "Multiclass semantic segmentation using DeepLabV3+" of keras.io.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from kft.startup import start_tensorflow

BATCH_SIZE = 8
VOID = 255

start_tensorflow()


def train(
    data: str,
    *,
    options: dict[str, Any],
    size: int,
    seconds: float,
    void: int,
    num_classes: int,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> dict[str, Any]:
    """Train on DATA/train and DATA/trainannot, and judge DATA/test.

    Args:
        data: A folder in the layout of CamVid.
        options: Of MobileNetV2: its width and weights.
        size: Pixels of the input.
        seconds: Time for everything up to the last step; the epoch that passes it is the last.
        void: Value of pixels without a class.
        num_classes: Of all others.
        learning_rate: Of Adam.
        seed: Of the order, the head and the mirroring.

    Returns:
        `mean_iou` over the classes that the test shows, at `size`, `seconds`, and `epochs`.
    """
    begun = time.monotonic()
    keras.utils.set_random_seed(seed)
    train_set, count = _read(Path(data), "train", size, void)
    batches = train_set.cache().shuffle(count, seed=seed).map(_mirror).batch(BATCH_SIZE)
    model = _build(options, size, num_classes)
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=VOID),
        jit_compile=False,
    )
    epochs = 0
    while time.monotonic() - begun < seconds:
        model.fit(batches, verbose=0)
        epochs += 1
    taken = time.monotonic() - begun
    return {"mean_iou": _judge(model, Path(data), size, void), "seconds": taken, "epochs": epochs}


def _read(root: Path, split: str, size: int, void: int) -> tuple[tf.data.Dataset, int]:
    pictures = sorted(map(str, (root / split).glob("*.png")))
    masks = sorted(map(str, (root / f"{split}annot").glob("*.png")))

    def read(picture: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = tf.io.decode_png(tf.io.read_file(picture), channels=3)
        classes = tf.io.decode_png(tf.io.read_file(mask), channels=1)
        pixels = tf.image.resize(pixels, (size, size), antialias=True)
        classes = tf.image.resize(classes, (size, size), method="nearest")
        return pixels, tf.where(classes == void, tf.constant(VOID, classes.dtype), classes)

    return tf.data.Dataset.from_tensor_slices((pictures, masks)).map(read), len(pictures)


def _mirror(pixels: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    both = tf.concat([pixels, tf.cast(classes, tf.float32)], axis=-1)
    both = tf.image.random_flip_left_right(both)
    return both[..., :3], tf.cast(both[..., 3:], classes.dtype)


def _build(options: dict[str, Any], size: int, num_classes: int) -> keras.Model:
    inputs = keras.Input((size, size, 3))
    scaled = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    backbone = keras.applications.MobileNetV2(input_tensor=scaled, include_top=False, **options)
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    high = _pool_scales(backbone.get_layer("block_13_expand_relu").output)
    high = layers.UpSampling2D(4, interpolation="bilinear")(high)
    low = _convolve(backbone.get_layer("block_3_expand_relu").output, 48, 1)
    joined = layers.Concatenate()([high, low])
    refined = _convolve(_convolve(joined, 256, 3), 256, 3)
    full = layers.UpSampling2D(4, interpolation="bilinear")(refined)
    return keras.Model(inputs, layers.Conv2D(num_classes, 1)(full))


def _pool_scales(features: keras.KerasTensor) -> keras.KerasTensor:
    pooled = layers.GlobalAveragePooling2D(keepdims=True)(features)
    pooled = _convolve(pooled, 256, 1)
    pooled = layers.UpSampling2D(features.shape[1:3], interpolation="bilinear")(pooled)
    scales = [_convolve(features, 256, 1), *(_convolve(features, 256, 3, r) for r in (6, 12, 18))]
    return _convolve(layers.Concatenate()([pooled, *scales]), 256, 1)


def _convolve(features: Any, filters: int, size: int, rate: int = 1) -> Any:
    features = layers.Conv2D(filters, size, dilation_rate=rate, padding="same", use_bias=False)(
        features
    )
    return layers.ReLU()(layers.BatchNormalization()(features))


def _judge(model: keras.Model, root: Path, size: int, void: int) -> float:
    dataset, _ = _read(root, "test", size, void)
    confusion = None
    for pixels, classes in dataset.batch(BATCH_SIZE):
        logits = model(pixels, training=False).numpy()
        answers, true = logits.argmax(axis=-1).ravel(), classes.numpy().ravel().astype(np.int64)
        known, count = true != VOID, logits.shape[-1]
        pairs = np.bincount(true[known] * count + answers[known], minlength=count**2)
        confusion = pairs if confusion is None else confusion + pairs
    assert confusion is not None
    matrix = confusion.reshape(count, count)
    shown = matrix.sum(axis=1) > 0
    ious = np.diag(matrix) / np.maximum(
        matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix), 1
    )
    return float(ious[shown].mean())
