"""Strategies: plan phases from the block table, with trainable blocks, learning rate and length."""

from __future__ import annotations

from kft.registry import Registry
from kft.strategies.parts import Part, plan_parts
from kft.strategies.phases import Phase
from kft.strategies.problems import Problems
from kft.strategies.setting import Setting
from kft.strategies.traits import find_traits

STRATEGIES = Registry(
    "strategy",
    {
        "auto": "kft.strategies.automatic:auto",
        "linear_probe": "kft.strategies.presets:linear_probe",
        "top_k": "kft.strategies.presets:top_k",
        "full": "kft.strategies.presets:full",
        "lp_ft": "kft.strategies.presets:lp_ft",
        "gradual": "kft.strategies.presets:gradual",
        "surgical": "kft.strategies.presets:surgical",
        "lora": "kft.strategies.presets:lora",
        "bitfit": "kft.strategies.presets:bitfit",
        "phases": "kft.strategies.explicit:explicit_phases",
    },
)


def find_parts(name: str, setting: Setting) -> tuple[Part, ...]:
    """Return the parts of a strategy, in order."""
    parts: tuple[Part, ...] = STRATEGIES.load(name)(setting)
    return parts


def plan_phases(setting: Setting) -> tuple[Phase, ...]:
    """Plan the phases of the strategy that the setting names, in order.

    Raises:
        ConfigError: A block is unknown, or a duration comes to less than one step.
    """
    problems = Problems()
    planned = plan_parts(find_parts(setting.config.name, setting), setting, problems)
    problems.refuse("strategy")
    return tuple(phase for _, phase in planned)


__all__ = ["STRATEGIES", "Phase", "Setting", "find_parts", "find_traits", "plan_phases"]
