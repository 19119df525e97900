"""Block table -> phases: what is trainable, at which rate, how long."""

from __future__ import annotations

from kft.registry import Registry
from kft.strategies.phases import Phase
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


def plan_phases(setting: Setting) -> tuple[Phase, ...]:
    """The phases of the strategy that the setting names, in order.

    Raises:
        ConfigError: A block is unknown, or a duration comes to no step.
    """
    phases: tuple[Phase, ...] = STRATEGIES.load(setting.config.name)(setting)
    return phases


__all__ = ["STRATEGIES", "Phase", "Setting", "find_traits", "plan_phases"]
