"""Models whose answers are known to depend on one part of an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from made_sets import SIZE

from kft.explanation.explained_model import ExplainedModel
from kft.explanation.methods import Subject
from kft.modalities.image.input_spec import ImageSpec
from kft.tasks.classification.head import ClassificationHead

CLASSES = ("red", "blue", "none")


@pytest.fixture(scope="session")
def colour_model() -> ExplainedModel:
    """A model by hand: the mean of what is redder or bluer than grey, by cells of 4 pixels."""
    import keras
    from keras import layers

    given = keras.Input((SIZE, SIZE, 3), name="pixels")
    scaled = layers.Rescaling(1 / 255)(given)
    cells = layers.AveragePooling2D(4)(scaled)
    colours = layers.Conv2D(2, 1, activation="relu", name="colours")(cells)
    pooled = layers.GlobalAveragePooling2D()(colours)
    model = keras.Model({"pixels": given}, layers.Dense(3, name="logits")(pooled))
    kernel = np.array([[1.0, -0.5], [-0.5, -0.5], [-0.5, 1.0]]).reshape(1, 1, 3, 2)
    model.get_layer("colours").set_weights([kernel, np.array([-0.05, -0.05])])
    by_class = np.array([[90.0, 0.0, 0.0], [0.0, 90.0, 0.0]])
    model.get_layer("logits").set_weights([by_class, np.array([0.0, 0.0, 2.0])])
    return ExplainedModel(model, ClassificationHead(CLASSES), ImageSpec(SIZE, SIZE))


@pytest.fixture(scope="session")
def make_subject() -> Callable[..., Subject]:
    """Make the subject of an answer: model, elements of an example and number of the class."""

    def make(model: ExplainedModel, inputs: dict[str, Any], place: int) -> Subject:
        neutral = model.spec.make_neutral(inputs)
        tensor, empty = model.measure(
            {name: np.stack([inputs[name], neutral[name]]) for name in inputs}
        )
        axes = tensor.shape[: len(model.spec.explained.names)]
        outputs = np.eye(len(model.head.class_names), dtype=np.float32)[place]
        ((_, _, direction),) = model.head.find_explained(outputs)
        return Subject(inputs, tensor, empty, model.spec.find_parts(inputs, axes), direction)

    return make
