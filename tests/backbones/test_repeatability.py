"""A backbone that is random or changes its variables at inference is refused, naming the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from kft.backbones import load_backbone, repeatability
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError


def load(path):
    return load_backbone(BackboneConfig(name=str(path), options={"scaling": "none"}))


def sequential(*inner):
    return keras.Sequential([layers.Input((32, 32, 3)), *inner, layers.Conv2D(4, 3, name="last")])


@keras.saving.register_keras_serializable(package="test")
class Jitter(layers.Layer):
    """Layer that draws random numbers whatever `training` is, without a seed generator."""

    def call(self, inputs):
        return inputs + tf.random.normal(tf.shape(inputs))


@keras.saving.register_keras_serializable(package="test")
class Tally(layers.Layer):
    """Layer that counts its calls."""

    def build(self, shape):
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")

    def call(self, inputs):
        self.calls.assign_add(1.0)
        return inputs


def with_dropout_always_on():
    inputs = keras.Input((32, 32, 3))
    hidden = layers.Dropout(0.5, name="always")(inputs, training=True)
    return keras.Model(inputs, layers.Conv2D(4, 3)(hidden))


def with_statistics_always_moving():
    inputs = keras.Input((32, 32, 3))
    hidden = layers.BatchNormalization(name="live")(inputs, training=True)
    return keras.Model(inputs, layers.Conv2D(4, 3)(hidden))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sequential(layers.RandomFlip(name="flip")), "random at inference.*/flip.*seed_ge"),
        (
            lambda: sequential(keras.Sequential([layers.RandomRotation(0.2, name="turn")])),
            "random at inference.*/turn",
        ),
        (with_dropout_always_on, "random at inference.*/always"),
        (lambda: sequential(Jitter(name="jitter")), "random at inference.*/jitter"),
        (with_statistics_always_moving, "changes 2 of its variables.*live/moving_mean.*/live"),
        (lambda: sequential(Tally(name="tally")), "changes one of its variables.*calls.*/tally"),
    ],
    ids=["flip", "nested", "dropout", "unseeded", "statistics", "counter"],
)
def test_an_export_that_is_random_or_changes_at_inference_is_refused_by_layer(
    make, message, tmp_path
):
    make().export(tmp_path / "mine", verbose=False)
    with pytest.raises(BackboneError, match=message) as caught:
        load(tmp_path / "mine")
    assert "training=False" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sequential(Jitter(name="jitter")), "random at inference.*/jitter"),
        (lambda: sequential(keras.Sequential([Jitter(name="inner")])), "random.*/inner"),
        (lambda: sequential(Tally(name="tally")), "changes one of its variables.*calls.*/tally"),
    ],
    ids=["unseeded", "nested", "counter"],
)
def test_a_keras_file_with_such_a_layer_is_refused_too(make, message, tmp_path):
    make().save(tmp_path / "mine.keras")
    with pytest.raises(BackboneError, match=message):
        load(tmp_path / "mine.keras")


@pytest.mark.parametrize("ending", ["", ".keras"])
def test_layers_that_are_deterministic_at_inference_are_accepted(ending, tmp_path):
    model = sequential(layers.Dropout(0.5), layers.GaussianNoise(1.0), layers.BatchNormalization())
    path = tmp_path / f"mine{ending}"
    model.save(path) if ending else model.export(path, verbose=False)
    assert load(path).blocks


class Switched(tf.Module):
    """Module that drops values if a tensor says it is training: its graph holds both branches."""

    def __init__(self):
        self.kernel = tf.Variable(np.ones((3, 4), np.float32), name="net/kernel")

    @tf.function(
        input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32), tf.TensorSpec((), tf.bool)]
    )
    def __call__(self, pixels, training):
        means = tf.reduce_mean(pixels, (1, 2))
        return tf.cond(training, lambda: tf.nn.dropout(means, 0.5), lambda: means) @ self.kernel


def test_a_module_that_is_random_only_in_training_is_accepted(tmp_path):
    tf.saved_model.save(Switched(), str(tmp_path / "module"))
    assert load_backbone(BackboneConfig(name=f"hub:{tmp_path}/module")).model.output.shape[-1] == 4


def test_a_keras_file_of_keras_layers_is_accepted_without_being_run(tmp_path, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("it was traced")

    with_dropout_always_on().save(tmp_path / "mine.keras")
    backbone = load(tmp_path / "mine.keras")
    pixels = np.random.default_rng(0).uniform(size=(2, 32, 32, 3)).astype(np.float32)
    first, second = (backbone.model(pixels, training=False).numpy() for _ in range(2))
    assert np.array_equal(first, second)
    monkeypatch.setattr(repeatability.tf, "function", refuse)
    load(tmp_path / "mine.keras")
