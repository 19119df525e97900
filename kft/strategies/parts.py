"""What a strategy is made of: parts, each of which says what it obeys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kft.strategies.phases import Phase
from kft.strategies.problems import Problems
from kft.strategies.setting import Setting

Plan = Callable[[Setting], tuple[Phase, ...]]
"""Plans phases. Raises `ConfigError` for settings that contradict the backbone or each other."""


@dataclass(frozen=True)
class Part:
    """Phases that are planned together, and the settings that decide about them.

    Parts are planned one by one, so that an error in one does not hide an error in the next.

    Attributes:
        plan: What plans the phases.
        obeys: Settings of `strategy` that it reads. A setting that no part of a strategy obeys is
            refused where it is given.
        reasons: Why it does not obey a setting, and what to do; where that is not obvious.
        where: Path of the part's own settings, if it has any.
    """

    plan: Plan
    obeys: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


Strategy = Callable[[Setting], tuple[Part, ...]]
"""What `STRATEGIES` holds. It raises nothing: its parts do."""


def plan_parts(
    parts: Iterable[Part], setting: Setting, problems: Problems
) -> list[tuple[Part, Phase]]:
    """The phases of all parts that can be planned; notes the problems of the others."""
    planned: list[tuple[Part, Phase]] = []
    for part in parts:
        with problems.noted():
            planned += [(part, phase) for phase in part.plan(setting)]
    return planned
