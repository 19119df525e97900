"""Backbones of recordings: their blocks, their weights, any length."""

from __future__ import annotations

import h5py
import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.backbones.audio.yamnet import build
from kft.backbones.crossings import crossing_after
from kft.config import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.audio.input_spec import AudioSpec
from kft.model import assemble
from kft.tasks.classification.head import ClassificationHead

SMALL = {
    "yamnet": {"layers": 4},
    "small_wavenet": {"width": 4},
    "logmel:small_cnn": {"width": 4},
}


def load(name: str, **changes: object):
    options = SMALL.get(name, {})
    config = {"name": name, "weights": "random", "options": options, **changes}
    if name.startswith("logmel:"):
        config.setdefault("input_size", 32)
    return load_backbone(BackboneConfig(**config))


def fit(backbone, num_samples: int):
    from dataclasses import replace

    return replace(backbone, input_spec=replace(backbone.input_spec, num_samples=num_samples))


@pytest.mark.parametrize("name", SMALL)
def test_a_backbone_takes_waveforms_of_the_length_that_the_data_decide(name):
    backbone = load(name)
    assert isinstance(backbone.input_spec, AudioSpec)
    assert backbone.input_spec.elements["waveform"].shape == (None,)
    head = ClassificationHead(("no", "yes"))
    assembled = assemble(fit(backbone, 16_000), head)
    assert set(assembled.model.input) == {"waveform"}
    assert assembled.model.input["waveform"].shape == (None, 16_000)
    waveforms = np.random.default_rng(0).normal(0, 0.1, (2, 16_000)).astype(np.float32)
    assert assembled.model({"waveform": waveforms}).shape == (2, 2)
    blocks = assembled.blocks.blocks
    for depth in range(1, len(blocks)):
        (crossing,) = crossing_after(assembled.model, blocks[:depth], blocks[depth:])
        assert None not in crossing.shape[1:], blocks[depth - 1].name


def test_the_blocks_are_the_layers_shallow_to_deep():
    assert [block.name for block in load("yamnet", options={}).blocks] == [
        "stem",
        *(f"block{number}" for number in range(1, 14)),
    ]
    assert [block.name for block in load("small_wavenet").blocks] == [
        *("stem", "stage1", "stage2", "stage3", "stage4")
    ]
    assert [block.name for block in load("logmel:small_cnn").blocks] == [
        *("stem", "stage1", "stage2", "stage3", "stage4")
    ]


def test_yamnet_has_its_published_size():
    # 3,751,369 with the classes, of which 1,024 * 521 + 521 are the last layer's.
    backbone = load("yamnet", options={})
    assert sum(block.num_parameters for block in backbone.blocks) == 3_751_369 - 534_025


def test_log_mel_pictures_keep_the_weights_of_the_backbone():
    keras.utils.set_random_seed(0)
    expected = load_backbone(
        BackboneConfig(name="small_cnn", weights="random", input_size=32, options={"width": 4})
    )
    keras.utils.set_random_seed(0)
    found = load("logmel:small_cnn")
    assert found.input_spec.scaling == expected.input_spec.scaling
    for one, other in zip(expected.model.weights, found.model.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("yamnet", {"options": {"layers": 15}}, "layers, a whole number from 2 to 14"),
        ("yamnet", {"options": {"depth": 3}}, "Allowed for yamnet: layers"),
        ("yamnet", {"options": {}, "input_size": 96}, "takes recordings of any length"),
        ("small_wavenet", {"weights": "pretrained"}, "has no pretrained weights"),
        ("small_wavenet", {"options": {"width": True}}, "width, a whole number"),
        ("logmel:yamnet", {"options": {}, "input_size": None}, "input_size: yamnet takes"),
        ("logmel:nothing", {}, "unknown backbone 'nothing'"),
    ],
)
def test_what_does_not_fit_is_refused(name, changes, reason):
    with pytest.raises(BackboneError, match=reason):
        load(name, **changes)


def write_legacy(path, model: keras.Model) -> None:
    """A file as Keras 2 wrote YAMNet's, with the scopes of its layers."""
    with h5py.File(path, "w") as file:
        for layer in model.layers:
            scope = layer.name.replace("_", "/", 1).removesuffix("_bn")
            scope += "/bn" if layer.name.endswith("_bn") else ""
            for variable in layer.weights:
                kind = "depthwise_" * isinstance(layer, keras.layers.DepthwiseConv2D)
                file[f"{scope}/{scope}/{kind}{variable.name}:0"] = variable.numpy()


def test_a_legacy_file_is_read_also_where_it_holds_more_layers(tmp_path):
    model, _ = build(5)
    write_legacy(tmp_path / "yamnet_small.h5", model)
    path = str(tmp_path / "yamnet_small.h5")
    with pytest.raises(BackboneError, match=r"backbone\.trust=true"):
        load("yamnet", weights=path)
    backbone = load("yamnet", weights=path, trust=True)
    assert backbone.sha256 is not None
    for expected, found in zip(model.weights, backbone.model.weights, strict=False):
        assert np.array_equal(expected.numpy(), found.numpy())
    with pytest.raises(BackboneError, match=r"0 arrays 'layer6/depthwise_conv/depthwise_kernel:0'"):
        load("yamnet", options={"layers": 6}, weights=path, trust=True)


def test_the_real_weights_hear_speech(shared):
    backbone = load(
        "yamnet", options={"layers": 6}, weights=str(shared / "weights/yamnet_256_backbone.keras")
    )
    legacy = load(
        "yamnet",
        options={"layers": 6},
        weights=str(shared / "weights/yamnet_256_f32.h5"),
        trust=True,
    )
    for one, other in zip(backbone.model.weights, legacy.model.weights, strict=True):
        assert np.array_equal(one.numpy(), other.numpy())
    patch = np.random.default_rng(0).normal(-3, 1, (1, 96, 64, 1)).astype(np.float32)
    whole = keras.saving.load_model(shared / "weights/yamnet_256_backbone.keras", compile=False)
    pooled = backbone.model(patch).numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(pooled, whole(patch).numpy(), atol=1e-5)
