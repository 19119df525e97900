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
