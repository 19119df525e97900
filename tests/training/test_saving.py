"""A trained model is saved and loaded bit for bit."""

import importlib
import json
import sys

import keras
import numpy as np
import pytest

from kft.backbones import BACKBONES, register_backbone
from kft.config import HeadConfig, dump_pipeline, load_pipeline
from kft.errors import ConfigError, RunError
from kft.runs import create_run
from kft.tasks import TASKS, find_task, load_task, make_head
from kft.training import load_trained, make_card, save_trained

NAMES = ("cat", "dog", "owl")
INPUTS = {"pixels": np.random.default_rng(0).uniform(0, 255, (3, 32, 32, 3)).astype(np.float32)}
TARGETS = np.random.default_rng(1).normal(5, 2, (9, 3)).astype(np.float32)
PIPELINE = load_pipeline("photos", ["data.image.resize=pad", "head.hidden=[5]", "training.seed=3"])


@pytest.fixture
def run(tmp_path):
    run = create_run(str(tmp_path), "photos", "first")
    run.pipeline.write_text(dump_pipeline(PIPELINE))
    return run


@pytest.fixture
def saved(run, tiny_assembled):
    save_trained(run, tiny_assembled, PIPELINE)
    return run


# Contracts over tasks save and load those of masks and boxes.
@pytest.mark.parametrize(
    "name", [name for name in sorted(TASKS) if load_task(name).companion is None]
)
def test_a_loaded_model_gives_the_outputs_of_the_saved_one_bit_for_bit(run, assemble_tiny, name):
    kind = load_task(name).word
    config = HeadConfig(name=name, hidden=(5,), dropout=0.5, pooling="avg_max")
    assembled = assemble_tiny(head=make_head(config, find_task(kind), NAMES, TARGETS))
    expected = np.asarray(assembled.model(INPUTS))
    assert np.ptp(expected, axis=0).min() > 1e-4
    save_trained(run, assembled, PIPELINE)
    trained = load_trained(run)
    outputs = trained.model(INPUTS)
    assert np.array_equal(np.asarray(outputs), expected)
    assert trained.head == assembled.head
    assert np.array_equal(
        np.asarray(trained.head.activate(outputs)), np.asarray(assembled.head.activate(expected))
    )


def test_pipeline_and_decoder_are_loaded_with_the_model(saved):
    trained = load_trained(saved)
    assert trained.pipeline == PIPELINE
    assert trained.decoder.output["pixels"].shape == (32, 32, 3)
    assert trained.decoder.resize == "pad"


BACKBONE = """
import keras

@keras.saving.register_keras_serializable(package="elsewhere")
class Halved(keras.layers.Layer):
    def call(self, inputs):
        return inputs / 2

def load(config):
    raise NotImplementedError
"""


def test_layers_of_a_backbone_from_elsewhere_are_imported_with_it(saved, tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text(BACKBONE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(BACKBONES, "_entries", dict(BACKBONES))
    register_backbone("halved_cnn", "elsewhere:load")
    inputs = {"pixels": keras.Input((2,), name="pixels")}
    halved = importlib.import_module("elsewhere").Halved()(inputs["pixels"])
    keras.Model(inputs, halved).save(saved.model)
    # As in a new process, which has imported no module of the backbone.
    keras.saving.get_custom_objects().pop("elsewhere>Halved")
    del sys.modules["elsewhere"]
    with pytest.raises(RunError, match=r"(?s)cannot be loaded: .*Halved"):
        load_trained(saved)
    card = json.loads(saved.model_card.read_text())
    card["backbone"]["name"] = "halved_cnn"
    saved.model_card.write_text(json.dumps(card))
    assert load_trained(saved).model.layers[-1].name == "halved"
    keras.saving.get_custom_objects().pop("elsewhere>Halved")
    del sys.modules["elsewhere"]


def test_the_card_complements_the_weights(saved, tiny_assembled):
    card = json.loads(saved.model_card.read_text())
    assert card == make_card(tiny_assembled, PIPELINE)
    assert card["head"]["class_names"] == list(NAMES)
    assert card["input"] == {
        "modality": "image",
        "height": 32,
        "width": 32,
        "channels": 3,
        "scaling": "symmetric",
        "resize": "pad",
        "background": "white",
        "depth": None,
        "depth_is_set": False,
    }
    assert card["backbone"]["sha256"] is None


def test_saving_leaves_no_temporary_file(saved):
    assert {path.name for path in saved.path.iterdir()} == {
        "pipeline.yaml",
        "model.keras",
        "model.json",
    }


@pytest.mark.parametrize("name", ["model.keras", "model.json"])
def test_a_missing_file_is_named(saved, name):
    (saved.path / name).unlink()
    with pytest.raises(RunError, match=f"{name}: missing; the run directory is incomplete"):
        load_trained(saved)


@pytest.mark.parametrize("name", ["model.keras", "model.json"])
def test_a_damaged_file_is_named(saved, name):
    path = saved.path / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RunError, match=f"{name}: cannot be"):
        load_trained(saved)


def test_an_invalid_pipeline_of_a_run_is_refused(saved):
    saved.pipeline.write_text("training: {sed: 3}\n")
    with pytest.raises(ConfigError, match=r"pipeline\.yaml: training\.sed: unknown key"):
        load_trained(saved)
