"""The peer of `kft train` with a probe: features by Keras, their classifier by scikit-learn.

Run: python bare_probe.py TRAIN HOLDOUT WEIGHTS

A script as one would write it, for MobileNetV2 0.35 at 160 px; it searches for
no penalty. Its forward pass is a graph: `predict` would compile it by XLA,
which takes longer.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

SIZE = 160
train, holdout, weights = sys.argv[1:]

backbone = keras.applications.MobileNetV2(
    input_shape=(SIZE, SIZE, 3), alpha=0.35, include_top=False, pooling="avg", weights=weights
)


@tf.function(input_signature=[tf.TensorSpec((None, SIZE, SIZE, 3), tf.float32)])
def forward(pixels: tf.Tensor) -> tf.Tensor:
    return backbone(keras.applications.mobilenet_v2.preprocess_input(pixels), training=False)


def read(folder: str) -> tuple[np.ndarray, list[str]]:
    pictures = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=(SIZE, SIZE), batch_size=32, shuffle=False, verbose=False
    )
    features = np.concatenate([forward(batch) for batch in pictures])
    return features, [Path(path).parent.name for path in pictures.file_paths]


features, labels = read(train)
classifier = LogisticRegression(max_iter=1000).fit(features, labels)
print(f"accuracy {classifier.score(*read(holdout)):.3f}")
