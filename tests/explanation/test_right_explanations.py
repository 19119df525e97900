"""Trained models are explained by the part that alone decides; shuffled ones are not."""

import keras
import numpy as np
import pytest
from keras import layers
from made_sets import RATE, SIZE, find_mass, make_bursts, make_patches

from kft.explanation.checks import shuffled_weights
from kft.explanation.explained_model import ExplainedModel
from kft.explanation.methods import FEATURE_MAP, GRADIENTS, METHODS, OCCLUSION
from kft.modalities.audio.input_spec import AudioSpec
from kft.modalities.image.input_spec import ImageSpec
from kft.modalities.text.input_spec import TextSpec
from kft.model import call_layers
from kft.tasks.classification.head import ClassificationHead

pytestmark = pytest.mark.full

HEAD = ClassificationHead(("first", "second", "neither"))


def train(model, inputs, classes, *, epochs, rate=1e-2):
    model.compile(optimizer=keras.optimizers.AdamW(rate), loss=HEAD.make_loss())
    model.fit(inputs, classes, epochs=epochs, batch_size=32, verbose=0)
    answers = np.asarray(model(inputs, training=False)).argmax(axis=1)
    assert (answers == classes).mean() > 0.98


def convolve(x):
    """Map of 16 cells a side for pictures; cells that see little more than themselves."""
    for width in (8, 16):
        x = layers.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
    return layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))


def find_masses(model, make_subject, examples, classes, inside, name):
    """Mass inside of each example's explanation: with learned weights, and with shuffled ones."""

    def explain():
        return [
            METHODS[name](model, make_subject(model, inputs, place))
            for inputs, place in zip(examples, classes, strict=True)
        ]

    learned = explain()
    with shuffled_weights(model.model):
        shuffled = explain()
    return tuple(
        [find_mass(values, where) for values, where in zip(found, inside, strict=True)]
        for found in (learned, shuffled)
    )


@pytest.fixture(scope="module")
def of_patches():
    keras.utils.set_random_seed(0)
    given = keras.Input((SIZE, SIZE, 3), name="pixels")
    model = keras.Model({"pixels": given}, convolve(layers.Rescaling(1 / 127.5, -1.0)(given)))
    pixels, classes, _ = make_patches(300)
    train(model, {"pixels": pixels}, classes, epochs=20)
    return ExplainedModel(model, HEAD, ImageSpec(SIZE, SIZE))


@pytest.mark.parametrize("name", [FEATURE_MAP, GRADIENTS])
def test_a_patch_that_alone_decides_holds_the_mass(of_patches, make_subject, name):
    pixels, classes, is_patch = make_patches(6, seed=1)
    chosen = [place for place in range(6) if classes[place] < 2]
    learned, shuffled = find_masses(
        of_patches,
        make_subject,
        [{"pixels": pixels[place]} for place in chosen],
        classes[chosen],
        is_patch[chosen],
        name,
    )
    assert min(learned) >= 0.8
    assert max(shuffled) < 0.5


@pytest.fixture(scope="module")
def of_bursts():
    keras.utils.set_random_seed(0)
    spec = AudioSpec(RATE, RATE, front_end="picture", bands=32, scaling="symmetric")
    given = keras.Input((RATE,), name="waveform")
    spectrogram = spec.prepare({"waveform": given})["waveform"]
    waveforms, classes, _ = make_bursts(300)
    # Computed once, and not in each step.
    front = keras.Model(given, spectrogram)
    drawn = keras.Input(spectrogram.shape[1:])
    rest = keras.Model(drawn, convolve(drawn))
    train(rest, front.predict(waveforms, verbose=0), classes, epochs=60, rate=3e-3)
    model = keras.Model({"waveform": given}, call_layers(rest, spectrogram))
    return ExplainedModel(model, HEAD, spec)


# A spectrogram differs from silence everywhere, so gradients along the way from there also find the
# noise around a burst: less of the mass is inside than for pictures and words.
@pytest.mark.parametrize(("name", "least"), [(FEATURE_MAP, 0.7), (GRADIENTS, 0.55)])
def test_a_burst_that_alone_decides_holds_most_of_the_mass(of_bursts, make_subject, name, least):
    waveforms, classes, is_burst = make_bursts(6, seed=1)
    chosen = [place for place in range(6) if classes[place] < 2]
    frames = of_bursts.measure({"waveform": waveforms[:1]}).shape[1]
    # A frame is inside if its middle is.
    middles = (np.arange(frames) * RATE // 100) + RATE // 50
    inside = np.repeat(is_burst[:, middles][..., np.newaxis], 32, axis=-1)
    learned, shuffled = find_masses(
        of_bursts,
        make_subject,
        [{"waveform": waveforms[place]} for place in chosen],
        classes[chosen],
        inside[chosen],
        name,
    )
    assert min(learned) >= least
    # The burst is two fifths of the recording.
    assert np.mean(shuffled) < np.mean(learned) - 0.1


@pytest.fixture(scope="module")
def of_words():
    keras.utils.set_random_seed(0)
    words = tuple(f"word{number}" for number in range(40))
    spec = TextSpec("words", ("[PAD]", "[UNK]", *words), max_tokens=12)
    ids = keras.Input((12,), dtype="int32", name="token_ids")
    mask = keras.Input((12,), dtype="int32", name="padding_mask")
    vectors = layers.Embedding(42, 8)(ids)
    hidden = layers.Conv1D(16, 1, activation="relu")(vectors)
    pooled = layers.GlobalAveragePooling1D()(hidden, mask=mask)
    model = keras.Model({"token_ids": ids, "padding_mask": mask}, layers.Dense(3)(pooled))
    inputs, classes, _ = draw_words(600)
    train(model, inputs, classes, epochs=20)
    return ExplainedModel(model, HEAD, spec)


def draw_words(count, seed=0):
    """Texts of 5 to 12 words, in which word 0 or word 1 decides; and where it stands."""
    drawn = np.random.default_rng(seed)
    ids = drawn.integers(4, 42, (count, 12)).astype(np.int32)
    lengths = drawn.integers(5, 13, count)
    mask = (np.arange(12) < lengths[:, np.newaxis]).astype(np.int32)
    classes, places = np.arange(count) % 3, drawn.integers(0, lengths)
    for row in np.flatnonzero(classes < 2):
        ids[row, places[row]] = 2 + classes[row]
    return {"token_ids": ids * mask, "padding_mask": mask}, classes, places


@pytest.mark.parametrize("name", [GRADIENTS, OCCLUSION])
def test_a_word_that_alone_decides_holds_the_mass(of_words, make_subject, name):
    inputs, classes, places = draw_words(9, seed=1)
    chosen = [row for row in range(9) if classes[row] < 2]
    inside = np.arange(12) == places[chosen][:, np.newaxis]
    learned, shuffled = find_masses(
        of_words,
        make_subject,
        [{key: values[row] for key, values in inputs.items()} for row in chosen],
        classes[chosen],
        inside,
        name,
    )
    assert min(learned) >= 0.8
    assert np.mean(shuffled) < 0.5
