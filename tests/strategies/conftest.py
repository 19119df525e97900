"""Fixtures: strategy settings of a small backbone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kft.config import load_pipeline
from kft.strategies import Phase, Setting, plan_phases
from kft.strategies.traits import BlockTraits

BLOCKS = ("stem", "stage1", "stage2", "head")
TRAITS = (
    BlockTraits("stem", unadaptable=(("stem_depthwise", "DepthwiseConv2D"),)),
    BlockTraits("stage1", adaptable=("stage1_conv", "stage1_project")),
    BlockTraits("stage2", adaptable=("stage2_conv",), has_bias_norm=False),
)


@pytest.fixture
def make_setting() -> Callable[..., Setting]:
    """Function from overrides of `strategy` and fields of `Setting` to a setting."""

    def make(*overrides: str, **changes: object) -> Setting:
        fields = {
            "backbone": "small_cnn",
            "block_names": BLOCKS,
            "augmentation": "light",
            "is_pretrained": True,
            "num_examples": 80,
            "steps_per_epoch": 10,
            "num_validation": 20,
            "has_linear_head": True,
            "may_mix": True,
            "traits": TRAITS,
        } | changes
        return Setting(load_pipeline(None, [f"strategy.{o}" for o in overrides]).strategy, **fields)

    return make


@pytest.fixture
def plan(make_setting) -> Callable[..., tuple[Phase, ...]]:
    """Function from the same arguments to the planned phases."""

    def make(*overrides: str, **changes: object) -> tuple[Phase, ...]:
        return plan_phases(make_setting(*overrides, **changes))

    return make
