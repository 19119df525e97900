"""Contract of every strategy: it uses the settings that it declares, and refuses all others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kft.config import FeaturesConfig, StrategyConfig, TrainingConfig
from kft.errors import ConfigError
from kft.strategies import STRATEGIES, Phase, Setting, find_parts, plan_phases
from kft.strategies.automatic import refits
from kft.strategies.checks import check_strategy
from kft.strategies.presets import is_solved
from kft.strategies.taps import find_taps
from kft.strategies.traits import BlockTraits

TRAITS = tuple(
    BlockTraits(n, adaptable=(f"{n}_conv",), channels=8) for n in ("stem", "stage1", "stage2")
)
# What a strategy needs for its settings to have an effect.
BASES = {
    "phases": {"phases": ({"trainable": ("all",), "duration": "50 percent"},)},
    "top_k": {"top_blocks": 2},
}
# A value of each setting that is not its default, nor what `auto` would decide for.
VALUES = {
    "phases": ({"trainable": ("head",), "duration": "50 percent"},),
    "probe": "trained",
    "probe_layers": "last",
    "probe_learning_rate": 0.25,
    "probe_duration": "3 steps",
    "learning_rate": 0.25,
    "duration": "60 steps",
    "layer_decay": 0.5,
    "batch_norm": "trainable",
    "top_blocks": 3,
    "block": "stem",
    "lora": {"rank": 2},
    "freeze": ("stem",),
    "refit": False,
    "budget": "10 minutes",
}


def make(name: str, *, is_pretrained: bool, **values: object) -> Setting:
    return Setting(
        config=StrategyConfig.model_validate({"name": name, **BASES.get(name, {}), **values}),
        backbone="small_cnn",
        block_names=("stem", "stage1", "stage2", "head"),
        augmentation="light",
        is_pretrained=is_pretrained,
        has_linear_head=True,
        traits=TRAITS,
    )


def plan(setting: Setting) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """Plan phases for 80 training examples, 20 each for validation and holdout; and the taps."""
    setting = replace(setting, num_examples=80, steps_per_epoch=10, num_validation=20)
    sizes = {"num_validation": 20, "num_holdout": 20, "is_fold": False}
    kind = {"is_pretrained": setting.is_pretrained, "has_solved_probe": is_solved(setting)}
    if refits(setting.config, TrainingConfig(), **sizes, **kind):
        both = ("train", "validation")
        setting = replace(setting, num_examples=100, steps_per_epoch=13, learns_from=both)
    phases = plan_phases(setting)
    has_solved = any(phase.method == "solve" for phase in phases)
    return phases, find_taps(setting) if has_solved else ()


def refusal(setting: Setting) -> str:
    try:
        check_strategy(setting, training=TrainingConfig(), features=FeaturesConfig(), is_fold=False)
    except ConfigError as error:
        return str(error)
    return ""


def test_a_value_is_tried_for_every_setting():
    assert {"name", *VALUES} == set(StrategyConfig.model_fields)
    for name, value in VALUES.items():
        strategy = "phases" if name == "phases" else "auto"
        assert name in StrategyConfig.model_validate({"name": strategy, name: value}).given()


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_parts_declare_settings_that_there_are(name):
    parts = find_parts(name, make(name, is_pretrained=True))
    assert parts
    for part in parts:
        assert {*part.obeys, *part.reasons} <= set(VALUES)


@pytest.mark.parametrize(
    ("name", "setting"),
    # The config itself refuses phases of other strategies.
    [(n, s) for n in sorted(STRATEGIES) for s in VALUES if s != "phases" or n == "phases"],
)
@pytest.mark.parametrize("probe", ["auto", "trained"])
@pytest.mark.parametrize("is_pretrained", [True, False])
def test_a_setting_changes_the_plan_where_it_is_declared_and_is_refused_where_not(
    name, setting, probe, is_pretrained
):
    has_probe = "probe" in obeyed(make(name, is_pretrained=is_pretrained))
    common = {"probe": probe} if has_probe and setting != "probe" else {}
    before = make(name, is_pretrained=is_pretrained, **common)
    after = make(name, is_pretrained=is_pretrained, **common, **{setting: VALUES[setting]})
    refused = f"strategy.{setting}: has no effect under `name: {name}`."
    if setting in obeyed(after):
        assert refused not in refusal(after)
        # Validation decides beside a trained probe, so it is kept apart anyway.
        if is_pretrained and (setting, probe) != ("refit", "trained"):
            assert plan(after) != plan(before)
    else:
        assert refusal(after).startswith(refused)
        assert plan(after) == plan(before)


def obeyed(setting: Setting) -> set[str]:
    return {name for part in find_parts(setting.config.name, setting) for name in part.obeys}
