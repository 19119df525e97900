"""SavedModels train block by block; their weights are compared, not only their outputs."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.backbones import load_backbone, save_backbone
from kft.backbones.hub import HubLayer
from kft.backbones.scopes import group_by_scope
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError

V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"


class Module(tf.Module):
    """A reusable SavedModel of two numbered blocks, each with a batch statistic."""

    def __init__(self):
        super().__init__(name="net")
        rng = np.random.default_rng(0)

        def variable(name, shape, trainable=True):
            value = rng.normal(size=shape).astype("float32")
            return tf.Variable(value, trainable=trainable, name=name)

        self.kernels, self.means = [], []
        for scope, shape in (
            ("net/stem", (3, 4)),
            ("net/block_1", (4, 4)),
            ("net/block_2", (4, 5)),
        ):
            self.kernels.append(variable(f"{scope}/kernel", shape))
            self.means.append(variable(f"{scope}/mean", shape[1:], trainable=False))

    @tf.function
    def __call__(self, pixels, training=False):
        x = tf.reduce_mean(pixels, axis=(1, 2))
        for kernel, mean in zip(self.kernels, self.means, strict=True):
            x = tf.tanh(x @ kernel)
            if training:
                mean.assign(0.9 * mean + 0.1 * tf.reduce_mean(x, 0))
            x = x - mean
        return x


@pytest.fixture
def module_folder(tmp_path):
    module = Module()
    spec = tf.TensorSpec((None, 16, 16, 3), tf.float32)
    for training in (True, False):
        module.__call__.get_concrete_function(spec, training=training)
    tf.saved_model.save(module, str(tmp_path / "module"))
    return tmp_path / "module"


def fit_one_step(backbone, frozen):
    """Names of the variables that moved in each block."""
    for block in backbone.blocks:
        for layer in block.layers:
            layer.trainable = block.name not in frozen
    before = {b.name: [v.numpy().copy() for v in b.variables] for b in backbone.blocks}
    spec = backbone.input_spec
    rng = np.random.default_rng(0)
    pixels = rng.uniform(size=(2, spec.height, spec.width, 3)).astype("float32")
    targets = rng.normal(size=(2, backbone.model.output.shape[-1])).astype("float32")
    backbone.model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    backbone.model.fit(pixels, targets, verbose=0)
    return {
        block.name: {
            variable.name
            for old, variable in zip(before[block.name], block.variables, strict=True)
            if not np.array_equal(old, variable.numpy())
        }
        for block in backbone.blocks
    }


def test_blocks_come_from_name_scopes_in_order_of_use(module_folder):
    backbone = load_backbone(BackboneConfig(name=f"hub:{module_folder}"))
    assert [block.name for block in backbone.blocks] == ["stem", "block1", "block2"]
    assert [block.num_parameters for block in backbone.blocks] == [16, 20, 25]
    assert backbone.input_spec.height == 16
    assert backbone.input_spec.scaling == "unit"
    assert backbone.model.output.shape == (None, 5)
    assert len(backbone.sha256) == 64


def test_everything_moves_when_nothing_is_frozen(module_folder):
    backbone = load_backbone(BackboneConfig(name=str(module_folder)))
    moved = fit_one_step(backbone, frozen=())
    assert all(len(names) == 2 for names in moved.values())


def test_a_frozen_block_and_all_statistics_stay_fixed_while_other_blocks_train(module_folder):
    backbone = load_backbone(BackboneConfig(name=f"hub:{module_folder}"))
    moved = fit_one_step(backbone, frozen=("block1",))
    assert moved["block1"] == set()
    assert [len(moved[name]) for name in ("stem", "block2")] == [1, 1]
    assert not any("mean" in name for names in moved.values() for name in names)


def test_the_layer_shares_storage_with_the_module(module_folder):
    layer = HubLayer(str(module_folder))
    layer.hub_blocks[0].module_variables[0].assign(np.zeros((3, 4)))
    outputs = layer(np.ones((1, 16, 16, 3), "float32"))
    layer.hub_blocks[0].module_variables[0].assign(np.ones((3, 4)))
    assert not np.array_equal(outputs, layer(np.ones((1, 16, 16, 3), "float32")))


def test_a_keras_file_holds_the_trained_weights_of_a_module(module_folder, tmp_path):
    backbone = load_backbone(BackboneConfig(name=f"hub:{module_folder}"))
    fit_one_step(backbone, frozen=())
    backbone.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(loaded.weights, backbone.model.weights, strict=True):
        assert np.array_equal(ours.numpy(), theirs.numpy())
    folder = save_backbone(backbone, tmp_path / "saved")
    again = load_backbone(BackboneConfig(name=str(folder)))
    assert [block.name for block in again.blocks] == ["stem", "block1", "block2"]
    with pytest.raises(BackboneError, match="no initializers"):
        load_backbone(BackboneConfig(name=str(folder), weights="random"))


def test_a_module_computes_in_float32_under_a_mixed_policy(module_folder):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        backbone = load_backbone(BackboneConfig(name=f"hub:{module_folder}"))
        assert backbone.model.output.dtype == "float32"
        moved = fit_one_step(backbone, frozen=())
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(len(names) == 2 for names in moved.values())


@pytest.mark.full
def test_a_module_trains_under_a_mirrored_strategy(module_folder):
    script = f"""
import os; os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from kft.backbones import load_backbone
from kft.config.schema import BackboneConfig
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    backbone = load_backbone(BackboneConfig(name={str(module_folder)!r}))
    backbone.blocks[1].layers[0].trainable = False
    before = [[v.numpy().copy() for v in b.variables] for b in backbone.blocks]
    backbone.model.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
pixels = np.random.default_rng(0).uniform(size=(4, 16, 16, 3)).astype("float32")
backbone.model.fit(pixels, np.ones((4, 5), "float32"), verbose=0)
for block, old in zip(backbone.blocks, before):
    print(block.name, sum(int((a != v.numpy()).any()) for a, v in zip(old, block.variables)))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.stdout.split() == ["stem", "1", "block1", "0", "block2", "1"], result.stderr


def test_a_keras_export_is_a_backbone_too(tmp_path, small_config):
    original = load_backbone(small_config)
    original.model.export(tmp_path / "export", verbose=False)
    name = str(tmp_path / "export")
    with pytest.raises(BackboneError, match="does not state its pixel scaling"):
        load_backbone(BackboneConfig(name=name))
    backbone = load_backbone(BackboneConfig(name=name, options={"scaling": "symmetric"}))
    assert backbone.input_spec.scaling == "symmetric"
    assert backbone.model.output.shape == (None, 4, 4, 32)
    total = sum(block.num_parameters for block in backbone.blocks)
    assert total == sum(block.num_parameters for block in original.blocks)
    pixels = np.random.default_rng(0).uniform(-1, 1, (2, 32, 32, 3)).astype("float32")
    np.testing.assert_allclose(
        backbone.model(pixels).numpy(), original.model(pixels).numpy(), atol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": "random"}, "its own weights and has no initializers"),
        ({"weights": "some.h5"}, "its own weights"),
        ({"options": {"alpha": 1.0}}, "Allowed: scaling"),
        ({"input_size": 32}, "found 32, but .* takes 16 pixels only"),
    ],
)
def test_settings_that_a_module_does_not_allow_are_refused(changes, message, module_folder):
    with pytest.raises(BackboneError, match=message):
        load_backbone(BackboneConfig(name=f"hub:{module_folder}", **changes))


def test_a_saved_model_with_signatures_only_is_refused(tmp_path):
    module = tf.Module()
    module.double = tf.function(lambda x: x * 2, [tf.TensorSpec((None, 3))])
    tf.saved_model.save(module, str(tmp_path / "signatures"))
    with pytest.raises(BackboneError, match=r"needs a callable TensorFlow 2 SavedModel"):
        load_backbone(BackboneConfig(name=f"hub:{tmp_path / 'signatures'}"))


def test_a_missing_or_damaged_module_is_refused(tmp_path, module_folder):
    with pytest.raises(BackboneError, match=r"neither a folder with a saved_model.pb nor a URL"):
        load_backbone(BackboneConfig(name=f"hub:{tmp_path / 'nothing'}"))
    (module_folder / "saved_model.pb").write_bytes(b"\xff\xfe nothing")
    with pytest.raises(BackboneError, match="cannot be read as a SavedModel"):
        load_backbone(BackboneConfig(name=f"hub:{module_folder}"))


@pytest.mark.parametrize(
    ("names", "blocks"),
    [
        (
            ["M/Conv/weights", "M/expanded_conv/w", "M/expanded_conv_1/w", "M/Conv_1/w"],
            ["stem", "block1", "tail"],
        ),
        (["resnet/conv1/w", "resnet/block1/unit_1/w", "resnet/block1/u2/w"], ["stem", "block1"]),
        (["b0/stem/w", "b0/blocks_0/w", "b0/blocks_1/w", "b0/head/w"],
         ["stem", "block0", "block1", "tail"]),
        (["I/Conv2d_1a/w", "I/Mixed_5b/w", "I/Mixed_5c/w"], ["stem", "mixed5b", "mixed5c"]),
        (["dense/kernel", "dense_1/kernel"], ["module"]),
    ],
)  # fmt: skip
def test_scopes_of_well_known_modules_become_blocks(names, blocks):
    variables = [SimpleNamespace(name=f"{name}:0", handle=object()) for name in names]
    function = SimpleNamespace(
        concrete_functions=[SimpleNamespace(captured_inputs=[v.handle for v in variables])]
    )
    groups = group_by_scope(SimpleNamespace(variables=variables[::-1]), function)
    assert [name for name, _ in groups] == blocks
    assert sum(len(members) for _, members in groups) == len(names)


def test_the_hub_module_equals_the_weights_file_it_was_made_from(shared, monkeypatch):
    monkeypatch.setenv("KFT_WEIGHTS_DIR", str(shared / "weights"))
    trunk = load_backbone(BackboneConfig(name="mobilenet_v2", options={"alpha": 0.35}))
    folder = shared / "hub" / "mobilenet_v2_035_224_feature_vector"
    module = load_backbone(BackboneConfig(name=f"hub:{folder}"))
    assert [block.name for block in module.blocks] == [block.name for block in trunk.blocks]
    for ours, theirs in zip(module.blocks, trunk.blocks, strict=True):
        assert sorted(v.numpy().sum() for v in ours.variables) == pytest.approx(
            sorted(v.numpy().sum() for v in theirs.variables), abs=1e-4
        )
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 224, 224, 3)).astype("float32")
    vectors = module.model(pixels / 255).numpy()
    expected = trunk.model(pixels / 127.5 - 1).numpy().mean(axis=(1, 2))
    assert expected.std() > 0.1
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
