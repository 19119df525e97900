"""The cut lies after the last frozen block, and its two halves together equal the model."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

from kft.backbones import load_backbone
from kft.backbones.record import Backbone, Block
from kft.config import BackboneConfig, HeadConfig
from kft.features import Cut, find_cut
from kft.modalities.image.input_spec import ImageSpec
from kft.model import HEAD, Assembled, assemble
from kft.tasks.classification.head import ClassificationHead

BLOCKS = ("stem", "stage1", "stage2", "stage3", "stage4")


def draw_weights(assembled: Assembled) -> Assembled:
    """Set weights for which outputs differ between pictures, so that a skipped layer shows."""
    random = np.random.default_rng(0)
    for variable in assembled.model.weights:
        if "gamma" in variable.path or "beta" in variable.path or "logits" in variable.path:
            shift = 1.0 if "gamma" in variable.path else 0.0
            variable.assign(random.normal(shift, 0.3, variable.shape).astype(np.float32))
    # Batch statistics of these very pictures: at rest, a random network forgets its input.
    norms = [
        layer
        for layer in assembled.backbone.model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for norm in norms:
        norm.momentum = 0.0
    assembled.model(pixels_for(assembled), training=True)
    return assembled


def pixels_for(assembled: Assembled) -> dict[str, np.ndarray]:
    """Make pixels of random colours."""
    random = np.random.default_rng(1)
    noise = random.normal(0, 40, (3, *assembled.model.input["pixels"].shape[1:]))
    colours = random.uniform(40, 215, (3, 1, 1, 3))
    return {"pixels": np.clip(noise + colours, 0, 255).astype(np.float32)}


def shapes_of(tensors) -> dict[str, tuple[int | None, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def assert_is_the_model_in_two(cut: Cut, assembled: Assembled, *, num_crossing: int = 1) -> None:
    pixels = pixels_for(assembled)
    whole = np.asarray(assembled.model(pixels))
    assert np.ptp(whole, axis=0).min() > 1e-3, "outputs that hardly vary prove nothing"
    halves = np.asarray(cut.suffix(cut.prefix(pixels)))
    assert np.abs(halves - whole).max() <= 1e-5 * max(1.0, np.abs(whole).max())
    assert len(cut.prefix.outputs) == len(cut.suffix.inputs) == num_crossing
    assert set(cut.crossing) == set(cut.prefix.output) == set(cut.suffix.input)


def assert_shares_every_weight(cut: Cut, assembled: Assembled, trainable: set[str]) -> None:
    """Check that the prefix holds no trainable variable and the suffix all of them."""
    before = {id(variable) for variable in cut.prefix.weights}
    behind = {id(variable) for variable in cut.suffix.weights}
    assert not before & behind
    assert before | behind == {id(variable) for variable in assembled.model.weights}
    for name in trainable:
        assert {id(variable) for variable in assembled.blocks[name].variables} <= behind


@pytest.fixture(scope="module")
def small(assemble_tiny) -> Assembled:
    return draw_weights(assemble_tiny())


@pytest.fixture(scope="module")
def mobilenet() -> Assembled:
    keras.utils.set_random_seed(0)
    config = BackboneConfig(
        name="mobilenet_v2", weights="random", input_size=64, options={"alpha": 0.35}
    )
    return draw_weights(assemble(load_backbone(config), ClassificationHead(("a", "b", "c"))))


@pytest.mark.parametrize("trainable", [(HEAD,), ()])
def test_if_only_the_head_trains_the_cut_is_the_feature_vector(small, trainable):
    cut = find_cut(small, trainable)
    assert cut.name == "feature_vector"
    assert shapes_of(cut.prefix.output) == {"feature_vector": (None, 32)}
    assert_is_the_model_in_two(cut, small)
    assert_shares_every_weight(cut, small, {HEAD})


def test_if_the_last_stage_trains_the_cut_lies_inside_the_backbone(small):
    cut = find_cut(small, ["stage4", HEAD])
    assert cut.name == "stage3"
    assert shapes_of(cut.prefix.output) == {"stage3": (None, 8, 8, 16)}
    assert shapes_of(cut.suffix.input) == {"stage3": (None, 8, 8, 16)}
    assert cut.suffix.output_shape == (None, 3)


def test_name_and_shapes_of_a_cut_build_no_model(small, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(keras, "Model", None)
        vector, inside = find_cut(small, [HEAD]), find_cut(small, ["stage4", HEAD])
        assert (vector.name, vector.shapes) == ("feature_vector", {"feature_vector": (32,)})
        assert (inside.name, inside.shapes) == ("stage3", {"stage3": (8, 8, 16)})
    assert inside.prefix is inside.prefix
    assert inside.suffix is inside.suffix


@pytest.mark.parametrize("first", BLOCKS[1:])
def test_both_halves_of_every_cut_of_small_cnn_equal_the_model(small, first):
    trainable = {*BLOCKS[BLOCKS.index(first) :], HEAD}
    cut = find_cut(small, trainable)
    assert cut.name == BLOCKS[BLOCKS.index(first) - 1]
    assert_is_the_model_in_two(cut, small)
    assert_shares_every_weight(cut, small, trainable)


@pytest.mark.parametrize("depth", [1, 4, 9, 13, -1])
def test_both_halves_of_cuts_of_mobilenet_v2_equal_the_model(mobilenet, depth):
    names = mobilenet.blocks.names[:-1]
    trainable = {*names[depth:], HEAD}
    cut = find_cut(mobilenet, trainable)
    assert cut.name == names[:depth][-1]
    assert_is_the_model_in_two(cut, mobilenet)
    assert_shares_every_weight(cut, mobilenet, trainable)


def test_the_shallowest_trainable_block_decides_in_any_order(small):
    for order in itertools.permutations(["stage2", "stage4", HEAD]):
        assert find_cut(small, order).name == "stage1"
    assert find_cut(small, ["stage2"]).name == "stage1"


@pytest.mark.parametrize("trainable", [(*BLOCKS, HEAD), ("stem",), ("stem", HEAD)])
def test_a_trainable_stem_leaves_no_cut(small, trainable):
    assert find_cut(small, trainable) is None


def test_the_halves_follow_the_weights_of_the_model(assemble_tiny):
    assembled = draw_weights(assemble_tiny(seed=3))
    cut = find_cut(assembled, ["stage4", HEAD])
    pixels = pixels_for(assembled)
    before = np.asarray(assembled.model(pixels))
    variable = assembled.blocks["stage4"].variables[0]
    variable.assign(variable.numpy() * 3)
    after = np.asarray(assembled.model(pixels))
    assert np.abs(after - before).max() > 1e-3
    assert np.allclose(np.asarray(cut.suffix(cut.prefix(pixels))), after, atol=1e-4)


def test_a_hidden_layer_and_both_poolings_lie_after_the_cut(assemble_tiny):
    config = HeadConfig(hidden=(5,), dropout=0.5, pooling="avg_max")
    assembled = draw_weights(assemble_tiny(head=ClassificationHead(("a", "b", "c"), config)))
    probe = find_cut(assembled, [HEAD])
    assert shapes_of(probe.prefix.output) == {"feature_vector": (None, 64)}
    for cut in (probe, find_cut(assembled, ["stage4", HEAD])):
        assert_is_the_model_in_two(cut, assembled)


# Cells with two inputs, as NASNet has them: a cell takes the two outputs before it.


def make_two_input_cells(*, is_bridged: bool) -> Assembled:
    inputs = keras.Input((16, 16, 3))
    layers = {
        name: keras.layers.Conv2D(3, 3, padding="same", activation="tanh", name=f"{name}_conv")
        for name in ("stem", "cell1", "cell2", "cell3")
    }
    add1, add2 = keras.layers.Add(name="cell2_add"), keras.layers.Add(name="cell3_add")
    stem = layers["stem"](inputs)
    cell1 = layers["cell1"](stem)
    # The second cell adds the stem's output: stem and cell1 both cross into it.
    cell2 = add1([layers["cell2"](cell1), stem])
    cell3 = layers["cell3"](cell2)
    # A shortcut from the input over everything crosses each cut there could be.
    output = add2([cell3, inputs]) if is_bridged else cell3
    model = keras.Model(inputs, output, name="cells")
    blocks = (
        Block("stem", (layers["stem"],)),
        Block("cell1", (layers["cell1"],)),
        Block("cell2", (layers["cell2"], add1)),
        Block("cell3", (layers["cell3"], *((add2,) if is_bridged else ()))),
    )
    backbone = Backbone(
        name="cells",
        model=model,
        input_spec=ImageSpec(16, 16, 3, "symmetric"),
        blocks=blocks,
        feature_levels=(),
        source="a test",
        licence="Apache-2.0",
        sha256=None,
    )
    return draw_weights(assemble(backbone, ClassificationHead(("a", "b", "c"))))


def test_if_two_tensors_cross_after_a_block_both_are_stored():
    assembled = make_two_input_cells(is_bridged=False)
    cut = find_cut(assembled, ["cell2", "cell3", HEAD])
    assert cut.name == "cell1"
    assert cut.shapes == {"cell1": (16, 16, 3), "cell1_1": (16, 16, 3)}
    assert_is_the_model_in_two(cut, assembled, num_crossing=2)
    assert_shares_every_weight(cut, assembled, {"cell2", "cell3", HEAD})
    later = find_cut(assembled, ["cell3", HEAD])
    assert later.name == "cell2"
    assert_is_the_model_in_two(later, assembled)


@pytest.mark.parametrize(
    ("first", "name", "count"), [("cell1", "stem", 2), ("cell2", "cell1", 3), ("cell3", "cell2", 2)]
)
def test_a_shortcut_over_everything_is_stored_at_every_cut(first, name, count):
    assembled = make_two_input_cells(is_bridged=True)
    trainable = {*assembled.blocks.names[assembled.blocks.names.index(first) :]}
    cut = find_cut(assembled, trainable)
    assert cut.name == name
    assert set(cut.crossing) == {name, *(f"{name}_{number}" for number in range(1, count))}
    assert_is_the_model_in_two(cut, assembled, num_crossing=count)
    assert_shares_every_weight(cut, assembled, trainable)


def test_over_everything_else_the_feature_vector_crosses_alone():
    assembled = make_two_input_cells(is_bridged=True)
    cut = find_cut(assembled, [HEAD])
    assert cut.name == "feature_vector"
    assert_is_the_model_in_two(cut, assembled)
