"""Peers for texts, recordings and videos, as people use them without kft; a process each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageSequence
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Labelled = tuple[Sequence[str], Sequence[str]]
BATCH_SIZE = 32


def tfidf(train: Labelled, holdout: Labelled) -> dict[str, Any]:
    """scikit-learn: TF-IDF of words and pairs, and logistic regression."""
    started = time.monotonic()
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    model.fit(*train)
    return {"accuracy": model.score(*holdout), "seconds": time.monotonic() - started}


def plain_lstm(train: Labelled, holdout: Labelled, seed: int, epochs: int = 3) -> dict[str, Any]:
    """Keras: an embedding and an LSTM in each direction from random weights, as in its guides."""
    keras.utils.set_random_seed(seed)
    started = time.monotonic()
    names = sorted(set(train[1]))
    vectorize = keras.layers.TextVectorization(max_tokens=20_000, output_sequence_length=64)
    vectorize.adapt(tf.constant(train[0]))
    (inputs, targets), (judged, true) = (
        (vectorize(tf.constant(texts)), np.array([names.index(label) for label in labels]))
        for texts, labels in (train, holdout)
    )
    model = keras.Sequential(
        [
            keras.layers.Embedding(20_000, 64, mask_zero=True),
            keras.layers.Bidirectional(keras.layers.LSTM(64)),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(len(names)),
        ]
    )
    _fit(model, inputs, targets, 1e-3, epochs)
    accuracy = float(np.mean(model.predict(judged, verbose=0).argmax(axis=-1) == true))
    return {"accuracy": accuracy, "seconds": time.monotonic() - started}


def _fit(model: keras.Model, inputs: Any, targets: Any, rate: float, epochs: int) -> None:
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=epochs, verbose=0)


def yamnet_features(
    train: Labelled, holdout: Labelled, weights: str, seconds: float
) -> dict[str, Any]:
    """scikit-learn: logistic regression on YAMNet's mean features, by speakers cross-validated."""
    started = time.monotonic()
    model = _make_yamnet(weights)
    (inputs, targets), (judged, true) = (
        (
            np.concatenate(
                [
                    model.predict_on_batch(batch)
                    for batch in np.array_split(_read_waveforms(paths, seconds), len(paths) // 30)
                ]
            ),
            labels,
        )
        for paths, labels in (train, holdout)
    )
    speakers = [path.split("_")[-2] for path in train[0]]
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        {"logisticregression__C": [1e-3, 1e-2, 1e-1, 1.0]},
        cv=GroupKFold(len(set(speakers))),
    )
    search.fit(inputs, targets, groups=speakers)
    return {"accuracy": search.score(judged, true), "seconds": time.monotonic() - started}


def _read_waveforms(paths: Sequence[str], seconds: float) -> np.ndarray:
    """Read WAV files at 16 kHz, repeated to one length: float32 (files, samples)."""
    from kft.modalities.audio.decoding import AudioDecoder

    decode = tf.function(AudioDecoder(16_000, round(seconds * 16_000)), autograph=False)
    return np.stack([decode(tf.io.read_file(path))["waveform"].numpy() for path in paths])


def _make_yamnet(weights: str) -> keras.Model:
    """The first layers of YAMNet, from waveforms to their mean features, frozen."""
    from kft.backbones import load_backbone
    from kft.config import BackboneConfig
    from kft.modalities.audio.front_end import LogMel

    config = BackboneConfig(name="yamnet", weights=weights, options={"layers": 6})
    network = load_backbone(config).model
    network.trainable = False
    waveform = keras.Input((None,))
    features = network(LogMel()(waveform), training=False)
    return keras.Model(waveform, keras.layers.GlobalAveragePooling2D()(features))


def frozen_yamnet(train: Labelled, weights: str, seconds: float, epochs: int) -> float:
    """Keras: seconds of a head on frozen YAMNet, whose features every step computes."""
    started = time.monotonic()
    features = _make_yamnet(weights)
    waveforms = _read_waveforms(train[0], seconds)
    return _fit_head(features, waveforms, train[1], epochs, started)


def frozen_bert(train: Labelled, folder: str, max_tokens: int, epochs: int) -> float:
    """Keras: seconds of a head on a frozen BERT of KerasHub, whose features every step computes."""
    import keras_hub

    started = time.monotonic()
    backbone = keras_hub.models.BertBackbone.from_preset(folder)
    backbone.trainable = False
    prepare = keras_hub.models.BertTextClassifierPreprocessor.from_preset(
        folder, sequence_length=max_tokens
    )
    inputs = prepare(tf.constant(train[0]))
    states = backbone.output["sequence_output"]
    mask = keras.ops.cast(backbone.input["padding_mask"], "bool")
    pooled = keras.layers.GlobalAveragePooling1D()(states, mask=mask)
    return _fit_head(keras.Model(backbone.input, pooled), inputs, train[1], epochs, started)


def _fit_head(
    features: keras.Model, inputs: Any, labels: Sequence[str], epochs: int, started: float
) -> float:
    names = sorted(set(labels))
    logits = keras.layers.Dense(len(names))(keras.layers.Dropout(0.2)(features.output))
    targets = np.array([names.index(label) for label in labels])
    _fit(keras.Model(features.input, logits), inputs, targets, 1e-3, epochs)
    return time.monotonic() - started


def mean_frame(train: Labelled, holdout: Labelled) -> dict[str, Any]:
    """scikit-learn: logistic regression on the pixels of the mean frame."""
    started = time.monotonic()
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    inputs, judged = (
        _read_clips(paths).mean(axis=1).reshape(len(paths), -1) for paths in (train[0], holdout[0])
    )
    model.fit(inputs, train[1])
    return {"accuracy": model.score(judged, holdout[1]), "seconds": time.monotonic() - started}


def plain_convlstm(train: Labelled, holdout: Labelled, seed: int, epochs: int) -> dict[str, Any]:
    """Keras: convolutional LSTM layers from random weights, as in its guides on videos."""
    keras.utils.set_random_seed(seed)
    started = time.monotonic()
    names = sorted(set(train[1]))
    inputs, judged = (_read_clips(paths) / 255.0 for paths in (train[0], holdout[0]))
    targets, true = (
        np.array([names.index(label) for label in each[1]]) for each in (train, holdout)
    )
    model = keras.Sequential(
        [
            keras.layers.ConvLSTM2D(8, 3, strides=2, padding="same", return_sequences=True),
            keras.layers.BatchNormalization(),
            keras.layers.ConvLSTM2D(16, 3, strides=2, padding="same"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(len(names)),
        ]
    )
    _fit(model, inputs, targets, 3e-3, epochs)
    accuracy = float(np.mean(model.predict(judged, verbose=0).argmax(axis=-1) == true))
    return {"accuracy": accuracy, "seconds": time.monotonic() - started}


def _read_clips(paths: Sequence[str]) -> np.ndarray:
    """The frames of animated GIFs: float32 (clips, frames, height, width, 3)."""
    clips = [
        [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(path))]
        for path in paths
    ]
    return np.asarray(clips, np.float32)
