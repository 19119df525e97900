"""Parts of a strategy, each with the settings that it obeys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from kft.strategies.phases import Phase
from kft.strategies.problems import Problems
from kft.strategies.setting import Setting

Plan = Callable[[Setting], tuple[Phase, ...]]
"""Function that plans phases.

It raises `ConfigError` for settings that contradict the backbone or each other.
"""


@dataclass(frozen=True)
class Part:
    """Phases that are planned together, and the settings that they depend on.

    Parts are planned one by one, so that an error in one does not hide an error in the next.

    Attributes:
        plan: Function that plans the phases.
        obeys: Settings of `strategy` that the function reads. A setting that is given but that no
            part of a strategy obeys is refused.
        reasons: Setting -> reason why the part does not obey it and what to do instead, if that is
            not obvious.
        where: Path of the part's own settings, if it has any.
    """

    plan: Plan
    obeys: tuple[str, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    where: str = ""


Strategy = Callable[[Setting], tuple[Part, ...]]
"""Entry of `STRATEGIES`. Errors are raised by its parts, not by the strategy."""


def plan_parts(
    parts: Iterable[Part], setting: Setting, problems: Problems
) -> list[tuple[Part, Phase]]:
    """Plan the phases of all parts; the problems of parts that cannot be planned are noted."""
    planned: list[tuple[Part, Phase]] = []
    for part in parts:
        with problems.noted():
            planned += [(part, phase) for phase in part.plan(setting)]
    return planned
