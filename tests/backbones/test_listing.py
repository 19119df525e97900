"""Listing and describing backbones."""

from __future__ import annotations

import subprocess
import sys

import pytest

from kft.backbones import (
    BACKBONES,
    describe,
    list_backbones,
    load_backbone,
    register_backbone,
)
from kft.config.schema import BackboneConfig
from kft.errors import BackboneError


def test_listing_imports_neither_keras_nor_tensorflow():
    script = (
        "import sys; from kft.backbones import BACKBONES, list_backbones; list_backbones();"
        "print([m for m in ('keras', 'tensorflow', 'numpy') if m in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "[]", result.stderr


def test_every_registered_backbone_is_listed_once():
    assert [listing.name for listing in list_backbones()] == sorted(BACKBONES)


def test_the_listing_shows_the_official_weights_on_this_machine(offline):
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
    (offline / name).touch()
    (offline / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").touch()
    found = {listing.name: listing.weights for listing in list_backbones() if listing.weights}
    assert found == {
        "mobilenet_v2": (name,),
        "vgg16": ("vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",),
    }


def test_an_unknown_name_is_refused_with_near_names_and_the_command_that_lists_all():
    with pytest.raises(BackboneError, match=r"'mobilenet_v2'.*`kft backbones`"):
        load_backbone(BackboneConfig(name="mobilenetv2"))


def test_one_backbone_is_described_with_blocks_and_levels():
    description = describe(load_backbone(BackboneConfig(name="small_cnn", weights="random")))
    assert [block.name for block in description.blocks] == [
        *("stem", "stage1", "stage2", "stage3", "stage4")
    ]
    assert description.num_parameters == 308_976
    assert description.levels[-1] == (8, "stage4", 128)
    assert description.output_shape == (4, 4, 128)


def test_a_backbone_from_elsewhere_is_loaded_by_its_name(monkeypatch):
    monkeypatch.setattr(BACKBONES, "_entries", dict(BACKBONES))
    register_backbone("mine", "kft.backbones.small:load")
    config = BackboneConfig(name="mine", weights="random", options={"width": 4})
    assert load_backbone(config).blocks[0].name == "stem"


def test_a_backbone_that_cannot_be_found_again_is_refused(monkeypatch):
    monkeypatch.setattr(BACKBONES, "_entries", dict(BACKBONES))
    with pytest.raises(BackboneError, match="not a function at the top level of a module"):
        register_backbone("mine", lambda config: None)
    with pytest.raises(BackboneError, match="'resnet50' is registered already"):
        register_backbone("resnet50", "kft.backbones.small:load")
