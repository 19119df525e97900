"""Options that backbones of videos share: whole numbers and words, completed by their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kft.config.schema import BackboneConfig
from kft.errors import BackboneError

FRAMES = range(2, 257)
"""Allowed numbers of frames of a clip."""
DEFAULT_FRAMES = 16

Allowed = Mapping[str, tuple[Any, range | tuple[str, ...]]]


def read_options(config: BackboneConfig, allowed: Allowed, *, others: bool = False) -> dict:
    """Read the options of a backbone, completed by their defaults.

    Args:
        config: The `backbone` section.
        allowed: Name of each option -> its default and its values.
        others: Whether further options are allowed, for another backbone; they are returned too.

    Raises:
        BackboneError: An option is unknown, or has a value that is not allowed.
    """
    options = {name: default for name, (default, _) in allowed.items()} | dict(config.options)
    unknown = sorted(set(options) - set(allowed))
    if unknown and not others:
        raise BackboneError(
            f"backbone.options: {config.name} has no option {unknown[0]!r}. "
            f"Allowed: {', '.join(allowed)}."
        )
    for name, (_, values) in allowed.items():
        value = options[name]
        if isinstance(value, bool) or value not in values:
            listed = (
                f"a whole number from {values[0]} to {values[-1]}"
                if isinstance(values, range)
                else ", ".join(values)
            )
            raise BackboneError(f"backbone.options.{name}: found {value!r}. Allowed: {listed}.")
    return options
