"""TF Hub modules of clips, by one that has MoViNet's signature."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kft.backbones import load_backbone
from kft.config import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.video.input_spec import VideoSpec
from kft.model import assemble
from kft.tasks.classification.head import ClassificationHead


class Module(tf.Module):
    """{"image": clips} -> one vector per clip, as MoViNet gives it."""

    def __init__(self):
        super().__init__(name="movinet")
        random = np.random.default_rng(0)
        kernel = random.normal(0, 0.3, (3, 3, 3, 3, 4)).astype("float32")
        self.stem = tf.Variable(kernel, name="movinet/stem/kernel")
        self.block = tf.Variable(
            random.normal(0, 1, (4, 5)).astype("float32"), name="block1/kernel"
        )

    @tf.function(
        input_signature=[{"image": tf.TensorSpec((None, None, None, None, 3), tf.float32)}]
    )
    def __call__(self, inputs):
        maps = tf.nn.relu(tf.nn.conv3d(inputs["image"], self.stem, [1, 1, 2, 2, 1], "SAME"))
        return tf.reduce_mean(maps, axis=(1, 2, 3)) @ self.block


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    made = Module()
    folder = tmp_path_factory.mktemp("hub") / "movinet"
    tf.saved_model.save(made, str(folder))
    return made, folder


def load(folder, **changes):
    options = {"options": {"frames": 4}, "input_size": 16, **changes}
    return load_backbone(BackboneConfig(name=f"hub:{folder}", **options))


def test_a_module_of_clips_is_a_backbone_of_videos(module):
    made, folder = module
    backbone = load(folder)
    assert backbone.input_spec == VideoSpec(4, 16, 16, "unit")
    clips = np.random.default_rng(0).uniform(0, 1, (2, 4, 16, 16, 3)).astype("float32")
    expected = made({"image": clips}).numpy()
    np.testing.assert_allclose(backbone.model(clips).numpy(), expected, atol=1e-5)
    assert sum(block.num_parameters for block in backbone.blocks) == 344
    assembled = assemble(backbone, ClassificationHead(("no", "yes")))
    assert assembled.model({"clip": 255 * clips}).shape == (2, 2)


def test_options_that_a_module_of_clips_has_not_are_refused(module):
    with pytest.raises(BackboneError, match="has no option 'width'"):
        load(module[1], options={"width": 2})


def write_old_module(folder, name: str) -> np.ndarray:
    """Write a module in TF1's format, as I3D is; return its kernel."""
    v1 = tf.compat.v1
    kernel = np.random.default_rng(1).normal(0, 1, (3, 6)).astype("float32")
    with tf.Graph().as_default(), v1.Session() as session:
        clip = v1.placeholder(tf.float32, (None, None, 16, 16, 3), "rgb_input")
        weights = v1.get_variable("RGB/inception_i3d/Conv3d_1a/w", initializer=kernel)
        logits = tf.matmul(tf.reduce_mean(clip, axis=(1, 2, 3)), weights)
        session.run(v1.global_variables_initializer())
        signature = v1.saved_model.predict_signature_def({name: clip}, {"default": logits})
        builder = v1.saved_model.Builder(str(folder))
        builder.add_meta_graph_and_variables(session, [], {"default": signature})
        builder.save()
    (folder / "tfhub_module.pb").write_bytes(b"\x08\x03")
    return kernel


def test_a_module_of_the_old_format_is_a_backbone_that_trains(tmp_path):
    kernel = write_old_module(tmp_path / "i3d", "rgb_input")
    backbone = load(tmp_path / "i3d", input_size=None)
    assert backbone.input_spec == VideoSpec(4, 16, 16, "unit")
    clips = np.random.default_rng(0).uniform(0, 1, (2, 4, 16, 16, 3)).astype("float32")
    expected = clips.mean(axis=(1, 2, 3)) @ kernel
    np.testing.assert_allclose(backbone.model(clips).numpy(), expected, atol=1e-5)
    (block,) = backbone.blocks
    (variable,) = block.variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(backbone.model(clips) ** 2)
    assert np.abs(tape.gradient(loss, variable.value).numpy()).max() > 0
    variable.assign(2 * kernel)
    np.testing.assert_allclose(backbone.model(clips).numpy(), 2 * expected, atol=1e-5)


def test_a_size_that_a_module_does_not_take_is_refused(tmp_path):
    write_old_module(tmp_path / "i3d", "rgb_input")
    with pytest.raises(BackboneError, match=r"found 32, but .* takes 16 only"):
        load(tmp_path / "i3d", input_size=32)
