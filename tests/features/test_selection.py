"""The selected engine is worth its conversion and reproduces Keras's numbers."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.errors import ConfigError
from kft.features import Forward, find_cut, select_engine
from kft.features import selection as selection_module
from kft.features.engines import ENGINES
from kft.features.selection import EXAMPLES_PER_LAYER
from kft.model import HEAD, flatten_layers

SAMPLE = {"pixels": np.random.default_rng(0).uniform(0, 255, (9, 32, 32, 3)).astype(np.float32)}


@pytest.fixture
def forward(tiny_assembled) -> Forward:
    return Forward(find_cut(tiny_assembled, [HEAD]).prefix)


@pytest.fixture
def threshold(forward) -> int:
    """Number of examples from which LiteRT is worth its conversion."""
    return EXAMPLES_PER_LAYER * len(list(flatten_layers(forward.model)))


@pytest.fixture
def altered(monkeypatch, forward):
    """Replace engines by Keras's numbers plus `errors`, or let them raise."""
    found = SimpleNamespace(errors={}, raises={}, made=[])

    def maker(name):
        def make(given):
            found.made.append(name)
            if name in found.raises:
                raise found.raises[name]
            error = np.float32(found.errors.get(name, 0))
            return lambda inputs: {key: each.numpy() + error for key, each in given(inputs).items()}

        return make

    for name in ENGINES:
        monkeypatch.setitem(ENGINES, name, maker(name))
    return found


def vectors_of(outputs) -> np.ndarray:
    return np.asarray(outputs["feature_vector"])


def select(forward, num_examples: int = 10**6, engine: str = "auto", **options):
    return select_engine(forward, SAMPLE, engine=engine, num_examples=num_examples, **options)


def test_keras_computes_few_examples_without_converting_anything(forward, threshold, altered):
    assert select(forward, threshold - 1).name == "keras"
    assert altered.made == []


def test_litert_computes_many_examples_and_agrees_with_keras(forward, threshold):
    selected = select(forward, threshold)
    assert selected.name == "litert"
    assert selected.refused == ""
    expected, found = vectors_of(forward(SAMPLE)), vectors_of(selected.sample_outputs)
    assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    assert np.array_equal(vectors_of(selected(SAMPLE)), found)


def test_keras_set_by_name_is_not_compared_with_anything(forward, altered):
    assert select(forward, engine="keras").sample_outputs is None
    assert altered.made == []


def test_keras_is_selected_on_a_gpu(forward, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0"])
    assert select(forward).name == "keras"


def test_keras_is_selected_for_a_model_in_bfloat16(restored_globals, assemble_tiny, altered):
    keras.config.set_dtype_policy("mixed_bfloat16")
    prefix = Forward(find_cut(assemble_tiny(), [HEAD]).prefix)
    assert select(prefix).name == "keras"
    assert altered.made == []


@pytest.mark.parametrize("error", [1.0, np.nan, np.inf])
def test_litert_with_deviating_numbers_is_rejected_with_a_reason(forward, altered, error):
    altered.errors["litert"] = error
    selected = select(forward)
    assert selected.name == "keras"
    assert selected.refused.startswith("litert: ")
    assert np.array_equal(vectors_of(selected.sample_outputs), vectors_of(forward(SAMPLE)))
    with pytest.raises(ConfigError, match=r"features.engine: 'litert' cannot compute this model"):
        select(forward, engine="litert")


def test_the_allowed_difference_is_relative_to_the_largest_number(forward, altered):
    largest = np.abs(vectors_of(forward(SAMPLE))).max()
    altered.errors["litert"] = 0.9e-4 * largest
    assert select(forward, engine="litert").name == "litert"
    altered.errors["litert"] = 1.1e-4 * largest
    with pytest.raises(ConfigError, match=r"differs from Keras by 0\.00011 .* allowed is 1e-04"):
        select(forward, engine="litert")
    altered.errors["litert"] = 0.9e-4 * largest
    with pytest.raises(ConfigError, match="allowed is 1e-05"):
        select(forward, engine="litert", tolerance=1e-5)


def test_keras_is_selected_with_the_reason_if_a_converter_fails(forward, altered):
    altered.raises["litert"] = RuntimeError("no such op\nin this place")
    selected = select(forward)
    assert (selected.name, selected.refused) == ("keras", "litert: RuntimeError: no such op")
    with pytest.raises(ConfigError, match="'litert' cannot compute this model: RuntimeError: no"):
        select(forward, num_examples=10, engine="litert")


def test_a_missing_engine_raises_its_own_error(forward, altered):
    altered.raises["openvino"] = ConfigError("OpenVINO is not installed")
    with pytest.raises(ConfigError, match="OpenVINO is not installed"):
        select(forward, engine="openvino")


def test_an_engine_is_built_once_when_it_first_computes(forward, altered):
    selected = selection_module.SelectedEngine("litert", forward)
    assert altered.made == []
    for _ in range(2):
        assert np.array_equal(vectors_of(selected(SAMPLE)), vectors_of(forward(SAMPLE)))
    assert altered.made == ["litert"]
