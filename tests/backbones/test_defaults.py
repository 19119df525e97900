"""The backbone of a pipeline that names none follows the modality of the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from kft.backbones import load_backbone
from kft.backbones.defaults import choose_backbone
from kft.config import BackboneConfig, load_pipeline
from kft.errors import BackboneError, ConfigError
from kft.modalities import load_modality
from kft.timing import apply_measured


def name_backbone(path: Path, *overrides: str) -> str:
    return choose_backbone(load_pipeline(str(path), overrides)).backbone.name


def test_each_modality_has_its_own_default(tmp_path):
    for name in ("photos/a/1.jpg", "sounds/a/1.wav"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "reviews.csv").write_text("text,label\nFine.,good\n")
    assert name_backbone(tmp_path / "photos") == "mobilenet_v2"
    assert name_backbone(tmp_path / "sounds") == "yamnet"
    assert name_backbone(tmp_path / "reviews.csv") == "minilm_l3"
    assert name_backbone(tmp_path / "reviews.csv", "backbone.name=small_characters") == (
        "small_characters"
    )
    resolved = apply_measured(load_pipeline(str(tmp_path / "sounds")), None)
    assert resolved.backbone.name == "yamnet"


def test_a_modality_without_a_default_asks_for_a_name(monkeypatch, tmp_path):
    monkeypatch.setattr(type(load_modality("image")), "default_backbone", None)
    with pytest.raises(BackboneError, match=r"no default backbone.*--modality image"):
        name_backbone(tmp_path)


def test_the_old_word_for_published_weights_is_refused_with_the_new_one():
    with pytest.raises(ConfigError, match=r"'imagenet'.*'pretrained'"):
        load_pipeline(None, ["backbone.weights=imagenet"])


def test_without_its_files_the_default_of_texts_says_what_else_there_is(offline):
    with pytest.raises(BackboneError) as raised:
        load_backbone(BackboneConfig(name="minilm_l3"))
    message = str(raised.value)
    for word in ("minilm_l3/model.safetensors", "KFT_WEIGHTS_DIR", "word_vectors", "=random"):
        assert word in message


def test_the_default_of_texts_is_found_in_the_folder_of_weights(shared, offline):
    pytest.importorskip("keras_hub", reason="KerasHub, the extra `hub`, is missing")
    (offline / "minilm_l3").symlink_to(shared / "weights/text/minilm_l3")
    backbone = load_backbone(BackboneConfig(name="minilm_l3"))
    assert backbone.name == "minilm_l3" and backbone.sha256 is not None
    assert [block.name for block in backbone.blocks] == ["embeddings", "layer1", "layer2", "layer3"]
