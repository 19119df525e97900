"""Graphs are cut where a single tensor crosses, and every weight lies in one block."""

from __future__ import annotations

import keras
import pytest

from kft.backbones import load_backbone
from kft.backbones.architecture import Boundary
from kft.backbones.crossings import cut_after, feature_levels
from kft.backbones.graph import Graph
from kft.backbones.partition import (
    blocks_by_layer_names,
    check_blocks,
    partition,
    partition_by_stride,
)
from kft.backbones.record import Block
from kft.errors import BackboneError

layers = keras.layers


@pytest.fixture
def residual() -> keras.Model:
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="entry")(inputs)
    side = layers.Conv2D(4, 3, padding="same", name="side")(x)
    x = x + side
    x = layers.Conv2D(8, 3, strides=2, padding="same", name="down")(x)
    gate = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    gate = layers.Conv2D(8, 1, name="excite")(gate)
    x = layers.Multiply(name="gated")([x, gate])
    return keras.Model(inputs, x)


def test_cuts_are_the_tensors_that_alone_cross_the_graph(residual):
    graph = Graph(residual)
    names = [graph.steps[graph.position(cut)].operation.name for cut in graph.cuts()]
    assert names[1:2] == ["entry"]
    assert names[3:] == ["down", "gated"]
    assert "side" not in names and "excite" not in names


def test_an_input_that_later_steps_use_crosses_beside_the_only_computed_tensor():
    values, mask = keras.Input((6,), name="values"), keras.Input((6,), name="mask")
    first = layers.Dense(6, name="first")(values)
    second = layers.Dense(6, name="second")(first)
    masked = layers.Multiply(name="masked")([second, mask])
    graph = Graph(keras.Model({"values": values, "mask": mask}, masked))
    found = {
        step.operation.name: {id(tensor) for tensor in crossing}
        for step, crossing in zip(graph.steps, graph.crossings(), strict=True)
    }
    assert found["first"] == {id(first), id(mask)}
    assert found["second"] == {id(second), id(mask)}
    assert found["masked"] == {id(masked)}
    names = [graph.steps[graph.position(cut)].operation.name for cut in graph.cuts()]
    assert names[-3:] == ["first", "second", "masked"]


def test_strides_multiply_along_the_path_and_skip_squeezed_maps(residual):
    graph = Graph(residual)
    strides = graph.strides()
    by_name = {step.operation.name: strides.get(id(step.outputs[0])) for step in graph.steps}
    assert (by_name["entry"], by_name["side"], by_name["down"], by_name["gated"]) == (2, 2, 4, 4)


def test_sequences_and_volumes_have_strides_too():
    samples = keras.Input((None,))
    x = layers.Reshape((-1, 1))(samples)
    x = layers.Conv1D(2, 5, strides=4, padding="same", name="waves")(x)
    x = layers.AveragePooling1D(3, padding="same", name="pooled")(x)
    frames = keras.Input((4, 8, 8, 3))
    y = layers.Conv3D(2, 3, strides=(1, 2, 2), padding="same", name="frames")(frames)
    y = layers.UpSampling3D((1, 2, 2), name="raised")(y)
    for inputs, output, expected in (
        (samples, x, {"waves": 4, "pooled": 12}),
        (frames, y, {"frames": 2, "raised": 1}),
    ):
        graph = Graph(keras.Model(inputs, output))
        strides = graph.strides()
        found = {step.operation.name: strides[id(step.outputs[0])] for step in graph.steps[1:]}
        assert {name: found[name] for name in expected} == expected


def test_any_functional_model_is_divided_by_stride(residual):
    blocks = partition_by_stride(residual)
    assert {block.name: [la.name for la in block.layers if la.weights] for block in blocks} == {
        "stem": ["entry", "side"],
        "stage1": ["down", "excite"],
    }
    assert [level.stride for level in feature_levels(residual, blocks)] == [2, 4]


def test_a_model_without_inner_cuts_is_one_block():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(inputs)
    blocks = partition_by_stride(keras.Model(inputs, x))
    assert [block.name for block in blocks] == ["stage1"]


def test_a_boundary_that_matches_nothing_is_refused(residual):
    with pytest.raises(BackboneError, match=r"no layer matches 'conv5_.\*'"):
        partition(residual, [Boundary("stem", "entry"), Boundary("stage1", "conv5_.*")])


def test_a_weight_in_no_block_or_in_two_is_refused_by_name(residual):
    entry, down = residual.get_layer("entry"), residual.get_layer("down")
    with pytest.raises(BackboneError, match=r"4 variables in no block: side/kernel"):
        check_blocks(residual, [Block("a", (entry,)), Block("b", (down,))])
    everything = tuple(residual.layers[1:])
    with pytest.raises(BackboneError, match=r"in several blocks: entry/kernel"):
        check_blocks(residual, [Block("a", everything), Block("b", (entry,))])
    with pytest.raises(BackboneError, match="lacks layers"):
        blocks_by_layer_names(residual, {"a": ["entry", "gone"]})


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(BackboneError, match="not a functional model"):
        Graph(Own())


def test_the_cut_after_a_block_separates_its_weights_from_the_later_ones(small_config):
    backbone = load_backbone(small_config)
    cut = cut_after(backbone, "stage2")
    upstream = {id(weight) for weight in keras.Model(backbone.model.input, cut).weights}
    expected = {id(v) for block in backbone.blocks[:3] for v in block.variables}
    assert upstream == expected
    with pytest.raises(BackboneError, match=r"no block 'stage9'. Blocks: stem, stage1"):
        cut_after(backbone, "stage9")
