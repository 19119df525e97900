"""Every engine reproduces Keras's numbers for batches of any size, or rejects the model."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import ai_edge_litert.interpreter
import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.backbones import load_backbone
from kft.config import BackboneConfig
from kft.errors import ConfigError
from kft.features import OUTPUT, Forward, find_cut
from kft.features.engines import ENGINES, PIECE, make_engine
from kft.features.selection import relative_difference
from kft.model import HEAD, assemble
from kft.tasks.classification.head import ClassificationHead

INSTALLED = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            name == "openvino" and find_spec("openvino") is None, reason="an extra, not installed"
        ),
    )
    for name in ENGINES
]
PIXELS = np.random.default_rng(0).uniform(0, 255, (2 * PIECE + 3, 32, 32, 3)).astype(np.float32)
INPUTS = {"pixels": PIXELS}


def only(outputs):
    """Return the single output of a mapping."""
    (found,) = outputs.values()
    return found


def expected_of(prefix: keras.Model) -> np.ndarray:
    outputs = np.asarray(only(prefix(INPUTS, training=False)))
    assert np.ptp(outputs, axis=0).max() > 1e-3, "outputs that hardly vary prove nothing"
    return outputs


@pytest.fixture(scope="module")
def prefixes(assemble_tiny):
    """Prefixes that end in a feature vector and in a feature map inside the backbone."""
    assembled = assemble_tiny()
    return [find_cut(assembled, blocks).prefix for blocks in ([HEAD], ["stage4", HEAD])]


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("rank", [2, 4])
def test_an_engine_reproduces_keras_numbers_for_every_batch_size(prefixes, name, rank):
    prefix, output = prefixes[rank // 4], {2: "feature_vector", 4: "stage3"}[rank]
    assert len(prefix.output[output].shape) == rank
    expected = expected_of(prefix)
    engine = make_engine(name, Forward(prefix))
    for size in (len(PIXELS), PIECE, PIECE + 1, PIECE - 1, 1):
        outputs = engine({"pixels": tf.constant(PIXELS[:size])})
        assert list(outputs) == [output]
        assert outputs[output].dtype == np.float32
        assert relative_difference(outputs[output], expected[:size]) < 1e-5
    assert np.array_equal(only(engine(INPUTS)), only(engine({"pixels": tf.constant(PIXELS)})))


def test_outputs_of_an_engine_are_not_overwritten_by_the_next_batch(prefixes):
    for name in ("keras", "litert"):
        engine = make_engine(name, Forward(prefixes[0]))
        first = only(engine({"pixels": PIXELS[:PIECE]}))
        kept = first.copy()
        engine({"pixels": PIXELS[PIECE:]})
        assert np.array_equal(first, kept)


@pytest.mark.parametrize("name", INSTALLED)
def test_the_whole_model_with_its_activation_outputs_probabilities(tiny_assembled, name):
    model, head = tiny_assembled.model, tiny_assembled.head
    outputs = make_engine(name, Forward(model, head.activate))(INPUTS)[OUTPUT]
    assert np.allclose(outputs.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(outputs, np.asarray(head.activate(model(INPUTS))), atol=1e-5)


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("blocks", [[HEAD], ["stage4", HEAD]], ids=["head", "last_block"])
def test_a_model_after_its_prefix_computes_the_same_as_the_whole(assemble_tiny, blocks, name):
    assembled = assemble_tiny()
    cut, activate = find_cut(assembled, blocks), assembled.head.activate
    prefix = Forward(cut.prefix)
    whole = Forward(assembled.model, activate, parts=(prefix, cut.suffix))
    outputs = make_engine(name, whole)(INPUTS)[OUTPUT]
    expected = np.asarray(activate(assembled.model(INPUTS, training=False)))
    assert relative_difference(outputs, expected) < 1e-5


def test_a_prefix_is_traced_once_for_itself_and_for_the_whole_model(assemble_tiny, monkeypatch):
    assembled = assemble_tiny()
    cut = find_cut(assembled, [HEAD])
    prefix = Forward(cut.prefix)
    whole = Forward(assembled.model, parts=(prefix, cut.suffix))
    expected = assembled.model(INPUTS, training=False)
    prefix(INPUTS)
    traced = []
    call = keras.layers.Conv2D.call
    monkeypatch.setattr(
        keras.layers.Conv2D, "call", lambda self, x: traced.append(self) or call(self, x)
    )
    assert np.allclose(whole(INPUTS)[OUTPUT], expected, atol=1e-6)
    assert traced == []
    assert np.allclose(Forward(assembled.model)(INPUTS)[OUTPUT], expected, atol=1e-6)
    assert traced, "nothing would have been seen"


def test_a_suffix_in_bfloat16_accepts_stored_float32_activations():
    stored = keras.Input((4,), dtype="bfloat16", name="stored")
    suffix = keras.Model({"stored": stored}, keras.layers.Dense(2, dtype="mixed_bfloat16")(stored))
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    outputs = Forward(suffix)({"stored": values})[OUTPUT]
    assert outputs.dtype == tf.float32
    assert np.allclose(outputs, values @ suffix.layers[1].kernel.numpy(), atol=0.05)


def test_an_engine_uses_the_configured_number_of_threads(prefixes, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    asked = []

    class Interpreter(ai_edge_litert.interpreter.Interpreter):
        def __init__(self, *, num_threads, **options):
            asked.append(num_threads)
            super().__init__(num_threads=num_threads, **options)

    monkeypatch.setattr(ai_edge_litert.interpreter, "Interpreter", Interpreter)
    make_engine("litert", Forward(prefixes[0]))
    assert asked == [3]


def test_folding_and_converting_print_nothing(prefixes, capfd):
    make_engine("litert", Forward(prefixes[0]))(INPUTS)
    said = capfd.readouterr()
    assert said.err == said.out == ""


def test_dropout_and_random_layers_run_in_inference_mode(assemble_tiny):
    inputs = keras.Input((32, 32, 3), name="pixels")
    hidden = keras.layers.RandomFlip()(inputs)
    outputs = keras.layers.Dropout(0.9)(keras.layers.Flatten()(hidden))
    model = keras.Model({"pixels": inputs}, outputs)
    for name in ("keras", "litert"):
        found = make_engine(name, Forward(model))(INPUTS)[OUTPUT]
        assert np.array_equal(found, PIXELS.reshape(19, -1))


def test_under_a_mixed_policy_the_outputs_are_float32(restored_globals, assemble_tiny):
    keras.config.set_dtype_policy("mixed_bfloat16")
    prefix = find_cut(assemble_tiny(), [HEAD]).prefix
    assert make_engine("keras", Forward(prefix))(INPUTS)["feature_vector"].dtype == np.float32


class Module(tf.Module):
    """SavedModel in TF Hub's form, from pixels in [0, 1] to feature vectors."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal((3, 3, 3, 6), [1, 2]), name="kernel")

    @tf.function(input_signature=[tf.TensorSpec((None, 32, 32, 3), tf.float32)])
    def __call__(self, pixels):
        return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(pixels, self.kernel, 2, "SAME")), [1, 2])


@pytest.mark.parametrize("name", INSTALLED)
def test_every_engine_computes_a_hub_module(tmp_path, name):
    tf.saved_model.save(Module(), str(tmp_path / "module"))
    backbone = load_backbone(BackboneConfig(name=f"hub:{tmp_path / 'module'}"))
    prefix = find_cut(assemble(backbone, ClassificationHead(("a", "b"))), [HEAD]).prefix
    outputs = make_engine(name, Forward(prefix))(INPUTS)["feature_vector"]
    assert relative_difference(outputs, expected_of(prefix)) < 1e-5


@pytest.mark.parametrize("name", INSTALLED)
def test_an_engine_keeps_apart_several_inputs_and_outputs(name):
    keras.utils.set_random_seed(0)
    words, mask = keras.Input((5, 3), name="words"), keras.Input((5,), dtype="int32", name="mask")
    kept = keras.ops.cast(mask, "float32")
    means = keras.layers.Dense(4)(words) * kept[..., None]
    outputs = {"means": keras.ops.mean(means, axis=1), "kept": kept, "again": mask + 1}
    # The order of the names is not that of the alphabet.
    model = keras.Model({"words": words, "mask": mask}, outputs)
    random = np.random.default_rng(0)
    inputs = {
        "words": random.normal(size=(PIECE + 3, 5, 3)).astype(np.float32),
        "mask": random.integers(0, 2, (PIECE + 3, 5)).astype(np.int32),
    }
    found = make_engine(name, Forward(model))(inputs)
    assert set(found) == {"means", "kept", "again"}
    assert np.array_equal(found["kept"], inputs["mask"])
    assert np.array_equal(found["again"], inputs["mask"] + 1)
    assert found["again"].dtype == np.int32
    expected = np.asarray(model(inputs)["means"])
    assert relative_difference(found["means"], expected) < 1e-5


def test_engines_that_need_a_fixed_size_reject_models_without_one():
    inputs = keras.Input((None, None, 3), name="pixels")
    model = keras.Model({"pixels": inputs}, keras.layers.GlobalAveragePooling2D()(inputs))
    with pytest.raises(ValueError, match="no fixed size"):
        make_engine("litert", Forward(model))
    assert make_engine("keras", Forward(model))(INPUTS)[OUTPUT].shape == (19, 3)


def test_a_missing_engine_reports_what_to_install(prefixes, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ConfigError, match=r"pip install 'kft\[openvino\]'"):
        make_engine("openvino", Forward(prefixes[0]))
