"""The encoder of Whisper from a preset, behind its own spectrogram."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.config import AudioConfig, BackboneConfig
from kft.errors import BackboneError, ConfigError
from kft.modalities import load_modality
from kft.modalities.audio.front_end import WhisperLogMel
from kft.model import assemble
from kft.tasks.classification.head import ClassificationHead

keras_hub = pytest.importorskip("keras_hub", reason="KerasHub, the extra `hub`, is missing")

WAVEFORM = np.random.default_rng(0).normal(0, 0.1, (2, 16_000)).astype("float32")


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    keras.utils.set_random_seed(0)
    trunk = keras_hub.models.WhisperBackbone(
        vocabulary_size=10,
        num_layers=2,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_encoder_sequence_length=300,
        max_decoder_sequence_length=8,
    )
    folder = tmp_path_factory.mktemp("presets") / "whisper"
    trunk.save_to_preset(folder)
    return trunk, folder


def test_the_spectrogram_is_that_of_keras_hub():
    converter = keras_hub.layers.WhisperAudioConverter(max_audio_length=1)
    np.testing.assert_allclose(WhisperLogMel(80)(WAVEFORM), converter(WAVEFORM), atol=2e-3)


def test_the_encoder_alone_reads_the_spectrogram_and_is_divided_by_its_layers(preset):
    trunk, folder = preset
    backbone = load_backbone(BackboneConfig(name=f"keras_hub:{folder}"))
    assert [block.name for block in backbone.blocks] == ["stem", "layer1", "layer2", "tail"]
    features = np.asarray(WhisperLogMel(80)(WAVEFORM))
    tokens = np.ones((2, 1), "int32")
    expected = trunk(
        {
            "encoder_features": features,
            "decoder_token_ids": tokens,
            "decoder_padding_mask": tokens,
        }
    )["encoder_sequence_output"]
    np.testing.assert_allclose(backbone.model(features), expected, atol=1e-5)
    spec = replace(backbone.input_spec, num_samples=16_000)
    assembled = assemble(replace(backbone, input_spec=spec), ClassificationHead(("no", "yes")))
    assert assembled.model({"waveform": WAVEFORM}).shape == (2, 2)


def test_recordings_longer_than_its_positions_and_sizes_are_refused(preset):
    name = f"keras_hub:{preset[1]}"
    spec = load_backbone(BackboneConfig(name=name)).input_spec
    with pytest.raises(ConfigError, match=r"data\.audio\.seconds: 4, .* positions for 3 s"):
        load_modality("audio").fit_spec(spec, AudioConfig(seconds=4), None)
    with pytest.raises(BackboneError, match="any length up to 30 s"):
        load_backbone(BackboneConfig(name=name, input_size=80))
