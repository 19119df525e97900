"""A text encoder of TF Hub with its preprocessor; SavedModels made here stand for both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.backbones import load_backbone, save_backbone
from kft.config import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.text.decoding import TextDecoder
from kft.model import assemble
from kft.serving.signatures import ServedModel
from kft.tasks.classification.head import ClassificationHead

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "film", "good", "bad")
LENGTH = 8
TEXTS = (b"the film good", b"bad \xff bad strange film the the film good", b"")


class Preprocessor(tf.Module):
    """Splits at spaces, looks words up in a table, and frames them."""

    def __init__(self):
        super().__init__()
        ids = tf.range(len(WORDS), dtype=tf.int64)
        pairs = tf.lookup.KeyValueTensorInitializer(list(WORDS), ids)
        self.table = tf.lookup.StaticHashTable(pairs, 1)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def __call__(self, texts):
        words = tf.strings.split(texts)[:, : LENGTH - 2]
        ids = tf.ragged.map_flat_values(self.table.lookup, words)
        frame = tf.ones_like(texts, tf.int64)[:, tf.newaxis]
        ids = tf.cast(tf.concat([2 * frame, ids, 3 * frame], axis=1), tf.int32)
        mask = tf.ones_like(ids).to_tensor(shape=(None, LENGTH))
        padded = ids.to_tensor(shape=(None, LENGTH))
        types = tf.zeros_like(padded)
        return {"input_word_ids": padded, "input_mask": mask, "input_type_ids": types}


class Encoder(tf.Module):
    """Embeddings and a layer, with outputs named as TF Hub names them."""

    def __init__(self):
        super().__init__(name="bert")
        drawn = np.random.default_rng(0)

        def variable(name, shape):
            return tf.Variable(drawn.normal(size=shape).astype("float32"), name=f"bert/{name}")

        self.words, self.types = variable("embeddings/words", (8, 4)), variable("embeddings/t", 4)
        self.kernel = variable("layer_0/kernel", (4, 4))

    @tf.function
    def __call__(self, inputs, training=False):
        x = tf.gather(self.words, inputs["input_word_ids"]) + self.types
        x += tf.cast(inputs["input_type_ids"], tf.float32)[..., tf.newaxis]
        states = tf.tanh(x @ self.kernel) * tf.cast(inputs["input_mask"], tf.float32)[..., None]
        return {"pooled_output": states[:, 0], "sequence_output": states, "default": states[:, 0]}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("hub")
    tf.saved_model.save(Preprocessor(), str(place / "preprocessor"))
    encoder = Encoder()
    names = ("input_word_ids", "input_mask", "input_type_ids")
    specs = {name: tf.TensorSpec((None, None), tf.int32, name=name) for name in names}
    for training in (True, False):
        encoder.__call__.get_concrete_function(specs, training=training)
    tf.saved_model.save(encoder, str(place / "encoder"))
    return place / "encoder", place / "preprocessor"


def load(folders, **options):
    encoder, preprocessor = folders
    options = {"preprocessor": str(preprocessor), **options}
    return load_backbone(BackboneConfig(name=f"hub:{encoder}", options=options))


def decode(backbone, texts=TEXTS):
    decoder = TextDecoder(backbone.input_spec)
    return tf.map_fn(decoder, tf.constant(list(texts)), fn_output_signature=decoder.output)


def test_it_gives_the_encoders_vectors_of_what_the_preprocessor_makes(folders):
    backbone = load(folders)
    assert [block.name for block in backbone.blocks] != []
    assert backbone.input_spec.max_tokens == LENGTH and not backbone.input_spec.packages
    inputs = decode(backbone, [b"the film good", b"bad bad strange film the the film good"])
    preprocess, encode = (tf.saved_model.load(str(folder)) for folder in reversed(folders))
    expected = preprocess(tf.constant(["the film good", "bad bad strange film the the film good"]))
    np.testing.assert_array_equal(inputs["token_ids"], expected["input_word_ids"])
    np.testing.assert_array_equal(inputs["padding_mask"], expected["input_mask"])
    outputs = encode(expected)["sequence_output"]
    np.testing.assert_allclose(backbone.model(inputs), outputs, atol=1e-6)


def test_an_export_holds_the_preprocessor(folders, tmp_path):
    backbone = load(folders)
    head = ClassificationHead(("a", "b"))
    assembled = assemble(backbone, head)
    decoder = TextDecoder(backbone.input_spec)
    ServedModel(assembled.model, head, decoder).save(tmp_path)
    loaded = tf.saved_model.load(str(tmp_path))
    served = loaded.signatures["serving_default"](encoded=tf.constant(list(TEXTS)))
    expected = head.activate(assembled.model(decode(backbone)))
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-6)
    assert list((tmp_path / "variables").iterdir())


def test_a_saved_one_is_the_same(folders, tmp_path):
    backbone = load(folders)
    save_backbone(backbone, tmp_path / "mine")
    loaded = load_backbone(BackboneConfig(name=str(tmp_path / "mine")))
    assert loaded.input_spec == replace(backbone.input_spec)
    np.testing.assert_array_equal(loaded.model(decode(loaded)), backbone.model(decode(backbone)))


def test_what_does_not_fit_is_refused(folders, tmp_path):
    encoder, preprocessor = folders
    with pytest.raises(BackboneError, match=r"found scaling. Allowed for a text encoder: prepro"):
        load(folders, scaling="unit")
    with pytest.raises(BackboneError, match=r"does not make input_word_ids and input_mask"):
        load((encoder, encoder))
    with pytest.raises(BackboneError, match=r"neither a folder with a saved_model.pb nor a URL"):
        load((encoder, tmp_path))
    with pytest.raises(BackboneError, match=r"input_size: 16, but the preprocessor gives 8 tokens"):
        options = {"preprocessor": str(preprocessor)}
        load_backbone(BackboneConfig(name=f"hub:{encoder}", input_size=16, options=options))


def test_its_layer_is_found_when_a_model_is_loaded(folders, tmp_path):
    backbone = load(folders)
    backbone.model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    np.testing.assert_array_equal(again(decode(backbone)), backbone.model(decode(backbone)))
