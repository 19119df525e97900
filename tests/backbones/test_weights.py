"""Weights files are authentic and fit completely, or are refused."""

from __future__ import annotations

import shutil

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.backbones.weights import digest
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError

V2_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"


@pytest.fixture
def made(small_config):
    return load_backbone(small_config)


def load(small_config, path, **changes):
    return load_backbone(small_config.model_copy(update={"weights": str(path), **changes}))


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_of_either_format_load_and_their_digest_is_recorded(
    ending, made, small_config, tmp_path
):
    path = tmp_path / f"made{ending}"
    made.model.save(path) if ending == ".keras" else made.model.save_weights(path)
    loaded = load(small_config, path)
    assert loaded.sha256 == digest(path)
    for ours, theirs in zip(loaded.model.weights, made.model.weights, strict=True):
        assert np.array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.full
def test_weights_files_of_networks_with_dropout_load(tmp_path):
    config = BackboneConfig(name="efficientnet_v2_b0", weights="random", input_size=32)
    made = load_backbone(config)
    for ending in (".weights.h5", ".keras"):
        path = tmp_path / f"made{ending}"
        made.model.save(path) if ending == ".keras" else made.model.save_weights(path)
        loaded = load_backbone(config.model_copy(update={"weights": str(path)}))
        for ours, theirs in zip(loaded.model.weights, made.model.weights, strict=True):
            assert np.array_equal(ours.numpy(), theirs.numpy())


def test_a_legacy_file_of_unknown_digest_needs_trust(made, small_config, tmp_path):
    path = tmp_path / "made.h5"
    made.model.save(path)
    with pytest.raises(BackboneError, match=r"unknown to kft.*backbone.trust=true.*--trust"):
        load(small_config, path)
    assert load(small_config, path, trust=True).sha256 == digest(path)


def test_a_legacy_file_of_known_digest_needs_no_trust_under_any_name(shared, tmp_path):
    path = tmp_path / "renamed.h5"
    shutil.copy(shared / "weights" / V2_FILE, path)
    config = BackboneConfig(
        name="mobilenet_v2", options={"alpha": 0.35}, input_size=96, weights=str(path)
    )
    assert load_backbone(config).sha256 == digest(path)


def test_weights_of_another_width_are_refused_by_file_and_expectation(shared):
    path = shared / "weights" / V2_FILE
    with pytest.raises(BackboneError, match=rf"{V2_FILE} does not fit .*such as alpha"):
        load_backbone(
            BackboneConfig(name="mobilenet_v2", options={"alpha": 0.5}, weights=str(path))
        )


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_weights_of_another_architecture_are_refused(ending, made, small_config, tmp_path):
    inputs = keras.Input((32, 32, 3))
    other = keras.Model(inputs, keras.layers.Conv2D(4, 3, name="stem_conv")(inputs))
    path = tmp_path / f"other{ending}"
    other.save(path) if ending == ".keras" else other.save_weights(path)
    with pytest.raises(BackboneError, match="does not fit"):
        load(small_config, path)
    wider = load_backbone(small_config.model_copy(update={"options": {"width": 8}})).model
    path = tmp_path / f"wider{ending}"
    wider.save(path) if ending == ".keras" else wider.save_weights(path)
    with pytest.raises(BackboneError, match="does not fit"):
        load(small_config, path)


def test_a_damaged_file_is_refused_by_name(made, small_config, tmp_path):
    path = tmp_path / "made.weights.h5"
    made.model.save_weights(path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BackboneError, match=r"made.weights.h5 does not fit"):
        load(small_config, path)


def test_missing_and_foreign_files_are_refused(small_config, tmp_path):
    with pytest.raises(BackboneError, match="no such file"):
        load(small_config, tmp_path / "nothing.h5")
    (tmp_path / "weights.pt").touch()
    with pytest.raises(BackboneError, match=r"Allowed endings: .h5, .weights.h5, .keras"):
        load(small_config, tmp_path / "weights.pt")


def test_a_file_with_an_official_name_and_another_content_is_refused(shared, offline):
    content = bytearray((shared / "weights" / V2_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (offline / V2_FILE).write_bytes(content)
    with pytest.raises(BackboneError, match=rf"{V2_FILE}: its SHA256 is .* damaged"):
        load_backbone(BackboneConfig(name="mobilenet_v2", options={"alpha": 0.35}))


def test_without_network_the_error_names_file_folders_and_remedies(offline):
    with pytest.raises(BackboneError) as refused:
        load_backbone(BackboneConfig(name="resnet50"))
    message = str(refused.value)
    for part in (
        "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        str(offline),
        str(offline.parent / "keras" / "models"),
        "KFT_WEIGHTS_DIR",
        "backbone.weights=random",
        "the test has no network",
    ):
        assert part in message


def test_the_named_folder_comes_before_the_keras_cache(offline, shared):
    cache = offline.parent / "keras" / "models"
    cache.mkdir(parents=True)
    (cache / V2_FILE).write_bytes(b"stale")
    shutil.copy(shared / "weights" / V2_FILE, offline)
    assert load_backbone(
        BackboneConfig(name="mobilenet_v2", options={"alpha": 0.35}, input_size=96)
    ).sha256
