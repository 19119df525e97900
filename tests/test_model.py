"""Assembled models, and the partition of their variables into blocks."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from kft.backbones.record import Block
from kft.config import HeadConfig
from kft.errors import BackboneError
from kft.model import HEAD, BlockTable, assemble, has_bias_or_norm
from kft.tasks.classification.head import ClassificationHead

PIXELS = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
INPUTS = {"pixels": PIXELS}


def owners(assembled) -> dict[int, list[str]]:
    found = {id(variable): [] for variable in assembled.model.weights}
    for block in assembled.blocks.blocks:
        for variable in block.variables:
            found[id(variable)].append(block.name)
    return found


def moved(before, after) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_every_variable_lies_in_exactly_one_block(tiny_assembled):
    found = owners(tiny_assembled)
    assert found
    assert {len(names) for names in found.values()} == {1}
    assert tiny_assembled.blocks.names == ("stem", "stage1", "stage2", "stage3", "stage4", HEAD)
    assert all(block.variables for block in tiny_assembled.blocks.blocks)


def test_the_head_owns_hidden_layers_and_logits(assemble_tiny):
    head = ClassificationHead(("a", "b"), HeadConfig(hidden=(5,), dropout=0.1))
    block = assemble_tiny(head=head).blocks[HEAD]
    assert [layer.name for layer in block.layers if layer.weights] == ["head_hidden1", "logits"]
    assert block.num_parameters == (32 * 5 + 5) + (5 * 2 + 2)


def test_pixels_are_scaled_inside_as_the_backbone_expects(tiny_assembled):
    model, backbone = tiny_assembled.model, tiny_assembled.backbone
    assert {name: given.shape for name, given in model.input.items()} == {
        "pixels": (None, 32, 32, 3)
    }
    assert model.output_shape == (None, 3)
    vector = np.asarray(backbone.model(PIXELS / 127.5 - 1.0)).mean(axis=(1, 2))
    logits = model.get_layer("logits")
    expected = vector @ logits.kernel.numpy() + logits.bias.numpy()
    outputs = np.asarray(model(INPUTS))
    assert np.abs(outputs).max() > 0.1
    assert np.allclose(outputs, expected, atol=1e-4)


def test_a_variable_in_two_blocks_is_refused_by_name(tiny_assembled):
    backbone = tiny_assembled.backbone
    stem, *rest = backbone.blocks
    doubled = replace(backbone, blocks=(stem, Block("copy", stem.layers[:1]), *rest))
    with pytest.raises(BackboneError, match="stem_conv/kernel lies in two blocks, 'stem' and 'co"):
        assemble(doubled, tiny_assembled.head)


def test_a_variable_in_no_block_is_refused_by_name(tiny_assembled):
    backbone = tiny_assembled.backbone
    without_stem = replace(backbone, blocks=backbone.blocks[1:])
    with pytest.raises(BackboneError, match=r"^5 variables lie in no block.*stem_conv/kernel"):
        assemble(without_stem, tiny_assembled.head)


def test_many_homeless_variables_are_counted_and_five_named(tiny_assembled):
    backbone = replace(tiny_assembled.backbone, blocks=tiny_assembled.backbone.blocks[:1])
    with pytest.raises(BackboneError, match="variables lie in no block") as caught:
        assemble(backbone, tiny_assembled.head)
    named = str(caught.value).split(": ")[1]
    assert named.count(",") == 4
    assert named.endswith(" …")


@pytest.mark.parametrize("batch_norm", ["frozen", "trainable"])
def test_only_the_named_blocks_train(tiny_assembled, batch_norm):
    blocks = tiny_assembled.blocks
    blocks.set_trainable(["stage4", HEAD], batch_norm=batch_norm)
    trainable = {id(variable) for variable in tiny_assembled.model.trainable_variables}
    expected = {
        id(variable)
        for name in ("stage4", HEAD)
        for variable in blocks[name].variables
        if "moving_" not in variable.path
        and (batch_norm == "trainable" or "_bn/" not in variable.path)
    }
    assert trainable == expected
    assert len(expected) == (5 if batch_norm == "frozen" else 11)


def test_flags_of_an_earlier_call_are_reset(tiny_assembled):
    blocks, model = tiny_assembled.blocks, tiny_assembled.model
    blocks.set_trainable(blocks.names, batch_norm="trainable")
    everything = {variable.path for variable in model.trainable_variables}
    blocks.set_trainable(blocks.names, batch_norm="frozen")
    fewer = {variable.path for variable in model.trainable_variables}
    blocks.set_trainable([], batch_norm="frozen")
    assert model.trainable_variables == []
    blocks.set_trainable(blocks.names, batch_norm="trainable")
    assert {variable.path for variable in model.trainable_variables} == everything
    assert everything - fewer == {p for p in everything if "_bn/" in p}


@pytest.mark.parametrize("batch_norm", ["frozen", "trainable"])
def test_frozen_batch_statistics_stay_fixed_in_training(tiny_assembled, batch_norm):
    blocks = tiny_assembled.blocks
    blocks.set_trainable(["stage3"], batch_norm=batch_norm)
    before = blocks.digests()
    tiny_assembled.model(INPUTS, training=True)
    assert moved(before, blocks.digests()) == ({"stage3"} if batch_norm == "trainable" else set())


def test_batch_normalization_inside_a_composite_layer_is_frozen():
    dense, norm = keras.layers.Dense(4), keras.layers.BatchNormalization()
    inner = keras.Sequential([dense, norm])
    inner.build((None, 3))
    table = BlockTable((Block("a", (inner,)),))
    table.set_trainable(["a"], batch_norm="frozen")
    assert (dense.trainable, norm.trainable) == (True, False)
    table.set_trainable(["a"], batch_norm="trainable")
    assert (dense.trainable, norm.trainable) == (True, True)


def test_digests_detect_a_changed_variable_in_its_block(tiny_assembled):
    blocks = tiny_assembled.blocks
    before = blocks.digests()
    assert blocks.digests() == before
    assert sum(map(len, before.values())) == len(tiny_assembled.model.weights)
    variable = blocks["stage2"].variables[0]
    value = variable.numpy()
    # The last bit of one number.
    value.flat[0] = np.nextafter(value.flat[0], np.float32(np.inf))
    variable.assign(value)
    after = blocks.digests()
    assert moved(before, after) == {"stage2"}
    changed = {path for path, digest in after["stage2"].items() if before["stage2"][path] != digest}
    assert changed == {f"{variable.path}#0"}


def test_digests_ignore_the_seed_of_a_dropout(assemble_tiny):
    head = ClassificationHead(("a", "b"), HeadConfig(dropout=0.5))
    assembled = assemble_tiny(head=head)
    seeds = [v for v in assembled.model.variables if "seed_generator" in v.path]
    assert seeds
    before, state = assembled.blocks.digests(), seeds[0].numpy().copy()
    assembled.model(INPUTS, training=True)
    assert not np.array_equal(seeds[0].numpy(), state)
    assert assembled.blocks.digests()[HEAD] == before[HEAD]


def of_bias_and_norm(assembled, names) -> set[int]:
    return {
        id(variable)
        for name in names
        for variable in assembled.blocks[name].variables
        if variable.name in ("bias", "gamma", "beta")
    }


@pytest.mark.parametrize("batch_norm", ["frozen", "trainable"])
def test_biases_and_normalization_train_alone_with_the_whole_head(tiny_assembled, batch_norm):
    blocks, model = tiny_assembled.blocks, tiny_assembled.model
    blocks.set_trainable(["stage4", HEAD], batch_norm=batch_norm, part="bias_norm")
    expected = of_bias_and_norm(tiny_assembled, ["stage4"])
    expected |= {id(variable) for variable in blocks[HEAD].variables}
    assert {id(variable) for variable in model.trainable_variables} == expected
    assert len(expected) > 2


@pytest.mark.parametrize("batch_norm", ["frozen", "trainable"])
def test_scales_and_shifts_change_but_statistics_only_if_trainable(tiny_assembled, batch_norm):
    blocks, model = tiny_assembled.blocks, tiny_assembled.model
    blocks.set_trainable(blocks.names, batch_norm=batch_norm, part="bias_norm")
    before = blocks.digests()
    movable = {name: blocks.movable(name, batch_norm=batch_norm) for name in blocks.names}
    fit_a_little(model)
    after = blocks.digests()
    for name in blocks.names:
        changed = {key for key in after[name] if before[name][key] != after[name][key]}
        assert changed == movable[name]
    kinds = {key.partition("#")[0].rpartition("/")[2] for key in set.union(*movable.values())}
    statistics = {"moving_mean", "moving_variance"} if batch_norm == "trainable" else set()
    assert kinds == {"gamma", "beta", "kernel", "bias"} | statistics
    assert not any("kernel" in key for name in blocks.names[:-1] for key in movable[name])


def fit_a_little(model):
    model.compile(
        keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.fit(INPUTS, np.array([0, 1, 2, 0]), batch_size=2, epochs=2, verbose=0)


@pytest.mark.full
def test_the_next_phase_resets_a_part(tiny_assembled):
    blocks, model = tiny_assembled.blocks, tiny_assembled.model
    blocks.set_trainable(blocks.names, batch_norm="trainable")
    everything = {variable.path for variable in model.trainable_variables}
    fit_a_little(model)
    blocks.set_trainable(blocks.names, batch_norm="frozen", part="bias_norm")
    blocks.set_trainable(["stem"], batch_norm="frozen", part="bias_norm")
    assert {id(v) for v in model.trainable_variables} == of_bias_and_norm(tiny_assembled, ["stem"])
    blocks.set_trainable(blocks.names, batch_norm="trainable")
    assert {variable.path for variable in model.trainable_variables} == everything
    before = blocks.digests()
    fit_a_little(model)
    assert moved(before, blocks.digests()) == set(blocks.names)


def test_all_normalization_and_biases_are_found_inside_composite_layers():
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
    attention.build((None, 5, 8), (None, 5, 8))
    norm = keras.layers.LayerNormalization()
    norm.build((None, 8))
    block = Block("a", (attention, norm))
    table = BlockTable((block,))
    assert has_bias_or_norm(block)
    table.set_trainable(["a"], batch_norm="frozen", part="bias_norm")
    trainable = [variable.name for variable in block.variables if variable.trainable]
    assert sorted(trainable) == ["beta", "bias", "bias", "bias", "bias", "gamma"]
    table.set_trainable(["a"], batch_norm="frozen")
    assert all(variable.trainable for variable in block.variables)


@pytest.mark.parametrize("batch_norm", ["frozen", "trainable"])
def test_movable_are_trainable_variables_and_statistics_of_trainable_blocks(
    tiny_assembled, batch_norm
):
    blocks = tiny_assembled.blocks
    blocks.set_trainable(["stage4", HEAD], batch_norm=batch_norm)
    assert blocks.movable("stem", batch_norm=batch_norm) == set()
    keys = blocks.movable("stage4", batch_norm=batch_norm)
    kernels = {key for key in keys if "kernel#" in key}
    assert len(kernels) == 3
    assert (keys == kernels) == (batch_norm == "frozen")
    assert any("moving_mean#" in key for key in keys) == (batch_norm == "trainable")
