"""Block table -> phases: what is trainable, at which rate, how long."""

from __future__ import annotations

from kft.registry import Registry
from kft.strategies.phases import Phase
from kft.strategies.presets import Setting

STRATEGIES = Registry(
    "strategy",
    {
        "linear_probe": "kft.strategies.presets:linear_probe",
        "full": "kft.strategies.presets:full",
        "lp_ft": "kft.strategies.presets:lp_ft",
        "phases": "kft.strategies.presets:explicit_phases",
    },
)


def plan_phases(setting: Setting) -> tuple[Phase, ...]:
    """The phases of the strategy that the setting names, in order.

    Raises:
        ConfigError: A block is unknown, or a duration comes to no step.
    """
    phases: tuple[Phase, ...] = STRATEGIES.load(setting.config.name)(setting)
    return phases


__all__ = ["STRATEGIES", "Phase", "Setting", "plan_phases"]
