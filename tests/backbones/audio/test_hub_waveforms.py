"""TF Hub modules of waveforms, by one that has YAMNet's signature."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.backbones import load_backbone
from kft.config import BackboneConfig
from kft.errors import BackboneError
from kft.model import assemble
from kft.tasks.classification.head import ClassificationHead

HOP = 400


class Module(tf.Module):
    """Frames of a waveform -> scores, embeddings and a spectrogram, as YAMNet gives them."""

    def __init__(self):
        super().__init__(name="yamnet")
        random = np.random.default_rng(0)

        def variable(name, *shape):
            return tf.Variable(random.normal(0, 0.1, shape).astype("float32"), name=name)

        self.first = variable("layer1/conv/kernel", HOP, 6)
        self.second = variable("layer2/pointwise_conv/kernel", 6, 5)
        self.classifier = variable("dense/kernel", 5, 3)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.float32)])
    def __call__(self, waveform):
        spectrogram = tf.tanh(tf.signal.frame(waveform, HOP, HOP) @ self.first)
        embeddings = tf.tanh(spectrogram @ self.second)
        return tf.nn.softmax(embeddings @ self.classifier), embeddings, spectrogram


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    made = Module()
    folder = tmp_path_factory.mktemp("hub") / "yamnet"
    tf.saved_model.save(made, str(folder))
    return made, folder


def test_the_embeddings_of_all_frames_are_averaged(module):
    made, folder = module
    backbone = load_backbone(BackboneConfig(name=f"hub:{folder}"))
    assert (backbone.input_spec.modality, backbone.input_spec.rate) == ("audio", 16_000)
    waveforms = np.random.default_rng(0).normal(0, 0.1, (2, 4000)).astype("float32")
    expected = [made(each)[1].numpy().mean(axis=0) for each in waveforms]
    np.testing.assert_allclose(backbone.model(waveforms).numpy(), expected, atol=1e-6)


def test_blocks_are_layers_without_the_classifier_and_train_one_by_one(module):
    backbone = load_backbone(BackboneConfig(name=f"hub:{module[1]}"))
    assert [block.name for block in backbone.blocks] == ["layer1", "layer2"]
    spec = replace(backbone.input_spec, num_samples=1600)
    assembled = assemble(replace(backbone, input_spec=spec), ClassificationHead(("no", "yes")))
    assembled.blocks.set_trainable({"layer2", "head"}, batch_norm="frozen")
    before = [block.variables[0].numpy() for block in backbone.blocks]
    loss = assembled.head.make_loss()
    assembled.model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
    waveforms = np.random.default_rng(0).normal(0, 0.1, (4, 1600)).astype("float32")
    # The second step: the head starts from zeros, which lets no gradient through.
    assembled.model.fit({"waveform": waveforms}, np.array([0, 1, 0, 1]), epochs=2, verbose=0)
    moved = [
        not np.array_equal(old, block.variables[0].numpy())
        for old, block in zip(before, backbone.blocks, strict=True)
    ]
    assert moved == [False, True]


def test_sizes_and_options_are_refused(module):
    with pytest.raises(BackboneError, match="recordings of any length"):
        load_backbone(BackboneConfig(name=f"hub:{module[1]}", input_size=96))
