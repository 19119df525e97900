"""Traits of blocks of real backbones."""

from dataclasses import replace

import keras
import pytest

from kft.backbones.record import Block
from kft.config import LoraConfig
from kft.errors import ConfigError
from kft.model import has_bias_or_norm
from kft.strategies import find_traits
from kft.strategies.traits import (
    BlockTraits,
    count_lora_parameters,
    find_lora_layers,
    resolve_bias_norm_blocks,
    resolve_lora_blocks,
)

HUB = (BlockTraits("block1", is_hub=True, has_bias_norm=False, ends_in_cut=False),)


@pytest.fixture
def mixed(tiny_assembled):
    """Backbone with layers of every sort added to small_cnn's first two blocks."""
    depthwise = keras.layers.DepthwiseConv2D(3, name="depthwise")
    norm = keras.layers.LayerNormalization(name="norm")
    held = keras.layers.Dense(4, use_bias=False, kernel_constraint="max_norm", name="held")
    attention = keras.layers.MultiHeadAttention(2, 4, name="attention")
    for layer, shape in ((depthwise, (None, 8, 8, 3)), (norm, (None, 4)), (held, (None, 4))):
        layer.build(shape)
    attention.build((None, 5, 8), (None, 5, 8))
    first, second, *rest = tiny_assembled.backbone.blocks
    blocks = (
        Block("stem", (*first.layers, depthwise, norm)),
        Block("stage1", (*second.layers, held, attention)),
        *rest,
    )
    return replace(tiny_assembled.backbone, blocks=blocks)


def test_the_traits_of_a_small_backbone(tiny_assembled):
    traits = find_traits(tiny_assembled.backbone)
    assert [block.name for block in traits] == ["stem", "stage1", "stage2", "stage3", "stage4"]
    assert traits[0].adaptable == ("stem_conv",)
    assert all(block.adaptable and not block.unadaptable for block in traits)
    assert all(block.has_bias_norm and block.ends_in_cut and not block.is_hub for block in traits)
    assert [block.stride for block in traits] == [1, 1, 2, 4, 8]


def test_layers_that_take_no_factors_are_listed_by_name_and_class(mixed, monkeypatch):
    monkeypatch.setattr("kft.strategies.traits.cut_after", lambda backbone, block: None)
    monkeypatch.setattr("kft.strategies.traits.named_outputs", lambda backbone: {})
    stem, stage1, *_ = find_traits(mixed)
    assert stem.unadaptable == (("depthwise", "DepthwiseConv2D"),)
    assert stage1.unadaptable == (("held", "Dense"),)
    assert {"query", "key", "value", "attention_output"} <= set(stage1.adaptable)
    assert (stem.ends_in_cut, stem.stride) == (False, None)


def test_the_pattern_is_searched_for_anywhere_in_a_name(tiny_assembled):
    blocks = tiny_assembled.backbone.blocks
    everything = find_lora_layers(blocks, ".*")
    assert len(everything) > len(find_lora_layers(blocks, "first")) > 0
    assert [layer.name for layer in find_lora_layers(blocks, "^stem")] == ["stem_conv"]
    assert find_lora_layers(blocks, "nothing") == ()


def test_parameters_are_those_of_both_factors(tiny_assembled):
    stem = tiny_assembled.backbone.blocks[:1]
    # A kernel of 3 x 3 x 3 -> 4 becomes 3 x 3 x 3 -> rank and rank -> 4.
    assert count_lora_parameters(stem, LoraConfig(rank=2)) == 27 * 2 + 2 * 4
    assert count_lora_parameters(stem, LoraConfig(layers="nothing")) == 0


def lora_refusal(layers, traits):
    with pytest.raises(ConfigError) as caught:
        resolve_lora_blocks(LoraConfig(layers=layers), traits, "here")
    return str(caught.value)


def test_a_pattern_without_matches_is_refused_with_the_available_layers():
    traits = (BlockTraits("a", adaptable=tuple(f"conv{i}" for i in range(10))),)
    assert resolve_lora_blocks(LoraConfig(layers="9$"), traits, "here") == ("a",)
    message = lora_refusal("dense", traits)
    assert message.startswith("here.layers: 'dense' matches no layer. Layers that take low-rank")
    assert message.endswith("conv0, conv1, conv2, conv3, conv4, conv5, conv6, conv7 and 2 more.")


def test_a_pattern_that_matches_only_unadaptable_layers_is_refused_with_their_names():
    traits = (BlockTraits("a", adaptable=("conv",), unadaptable=(("dw", "DepthwiseConv2D"),)),)
    assert "'dw' matches only dw (DepthwiseConv2D), which take none." in lora_refusal("dw", traits)
    # The class is not part of the name.
    assert "matches no layer" in lora_refusal("DepthwiseConv2D", traits)
    assert "these do not: dw (DepthwiseConv2D)" in lora_refusal(
        ".*", (replace(traits[0], adaptable=()),)
    )


def test_a_hub_module_hides_its_layers():
    assert "hidden in its graph" in lora_refusal(".*", HUB)
    with pytest.raises(ConfigError, match=r"^here: .*hidden in its graph"):
        resolve_bias_norm_blocks(HUB, "here")


def test_blocks_with_only_kernels_cannot_train_biases(tiny_assembled):
    dense = keras.layers.Dense(2, use_bias=False)
    dense.build((None, 3))
    kernels = Block("bare", (dense,))
    assert not has_bias_or_norm(kernels)
    traits = find_traits(tiny_assembled.backbone)
    bare = BlockTraits("bare", has_bias_norm=has_bias_or_norm(kernels))
    assert resolve_bias_norm_blocks((bare, *traits[:1]), "here") == ("stem",)
    with pytest.raises(ConfigError, match=r"^here: .*blocks bare have none"):
        resolve_bias_norm_blocks((bare,), "here")
