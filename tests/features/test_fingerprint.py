"""Models that compute different numbers have different digests."""

from __future__ import annotations

import importlib.metadata
import shutil

import pytest
import tensorflow as tf

from kft.backbones import load_backbone
from kft.config import BackboneConfig
from kft.features import fingerprint
from kft.features.fingerprint import digest_model


class Module(tf.Module):
    """SavedModel in TF Hub's form, from pixels to vectors with a given activation."""

    def __init__(self, activate):
        super().__init__()
        self.kernel = tf.Variable(tf.ones((3, 4)), name="kernel")
        self._activate = activate

    @tf.function(input_signature=[tf.TensorSpec((None, 16, 16, 3), tf.float32)])
    def __call__(self, pixels):
        return self._activate(tf.reduce_mean(pixels, [1, 2]) @ self.kernel)


@pytest.fixture
def digest_of(tmp_path):
    """Digest of a module saved to, and loaded from, always the same folder."""

    def digest(activate) -> str:
        folder = tmp_path / "module"
        shutil.rmtree(folder, ignore_errors=True)
        tf.saved_model.save(Module(activate), str(folder))
        return digest_again()

    def digest_again() -> str:
        return digest_model(load_backbone(BackboneConfig(name=str(tmp_path / "module"))).model)

    digest.again = digest_again
    return digest


def test_hub_modules_with_equal_weights_and_different_graphs_differ_in_digest(digest_of):
    first = digest_of(tf.nn.relu)
    assert digest_of.again() == first
    assert digest_of(tf.nn.tanh) != first


def test_another_package_version_changes_the_digest(tiny_assembled, monkeypatch):
    model, installed = tiny_assembled.model, {}

    def find_version(package: str) -> str:
        if package not in installed:
            raise importlib.metadata.PackageNotFoundError(package)
        return installed[package]

    monkeypatch.setattr(importlib.metadata, "version", find_version)
    found = [digest_model(model)]
    for version in ("0.21", "0.22"):
        installed["keras-hub"] = version
        found.append(digest_model(model))
    monkeypatch.setattr(fingerprint, "__version__", "9.9.9")
    found.append(digest_model(model))
    assert len(set(found)) == 4
    assert digest_model(model) == found[-1]
