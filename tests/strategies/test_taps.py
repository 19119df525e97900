"""Which blocks a solved probe reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kft.config import StrategyConfig
from kft.errors import ConfigError
from kft.strategies.setting import Setting
from kft.strategies.taps import find_taps
from kft.strategies.traits import BlockTraits

BLOCKS = ("stem", "stage1", "stage2", "stage3")


def make_setting(probe_layers, *, channels=16, strides=(2, 4, 4, 8)) -> Setting:
    traits = tuple(
        BlockTraits(name, channels=channels, stride=stride)
        for name, stride in zip(BLOCKS, strides, strict=True)
    )
    return Setting(
        config=StrategyConfig(probe_layers=probe_layers),
        backbone="made",
        block_names=(*BLOCKS, "head"),
        augmentation="none",
        is_pretrained=True,
        has_linear_head=True,
        traits=traits,
    )


@pytest.mark.parametrize(
    ("probe_layers", "taps"),
    [
        ("auto", BLOCKS[:-1]),
        ("all", BLOCKS[:-1]),
        ("last", ()),
        (("stage1",), ("stage1",)),
        (("stage3", "stem"), ("stem",)),
    ],
)
def test_the_blocks_below_the_last_are_read_as_the_setting_says(probe_layers, taps):
    assert find_taps(make_setting(probe_layers)) == taps


def test_of_a_wide_backbone_one_block_of_each_stride_is_read():
    assert find_taps(make_setting("auto", channels=2048)) == ("stem", "stage2")
    assert find_taps(make_setting("all", channels=2048)) == BLOCKS[:-1]


def test_hidden_blocks_are_read_at_their_end_only():
    setting = make_setting("auto", channels=0)
    assert find_taps(setting) == ()
    with pytest.raises(ConfigError, match=r"probe_layers: backbone 'made' hides the outputs"):
        find_taps(replace(setting, config=StrategyConfig(probe_layers="all")))


def test_an_unknown_block_is_refused():
    with pytest.raises(ConfigError, match=r"strategy\.probe_layers.*'stage9'"):
        find_taps(make_setting(("stage9",)))
