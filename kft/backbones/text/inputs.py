"""The inputs of text backbones, and the settings that all of them share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kft.config.schema import BackboneConfig
from kft.errors import BackboneError
from kft.registry import suggest


def make_inputs(max_tokens: int | None) -> dict[str, keras.KerasTensor]:
    """Token ids and padding mask, int32 (batch, tokens) each.

    Args:
        max_tokens: Number of tokens; None for any.
    """
    return {
        name: keras.Input((max_tokens,), dtype="int32", name=name)
        for name in ("token_ids", "padding_mask")
    }


def read_options(config: BackboneConfig, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a backbone, completed by their defaults.

    Args:
        config: The `backbone` section.
        defaults: Default of each option: a whole number of at least 1, or a tuple of words whose
            first is the default.

    Raises:
        BackboneError: An option is unknown or has a value of another kind.
    """
    options: dict[str, Any] = {
        name: value[0] if isinstance(value, tuple) else value for name, value in defaults.items()
    }
    for name, value in config.options.items():
        if name not in defaults:
            raise BackboneError(
                f"backbone.options: {config.name} has no option {name!r}. "
                f"{suggest(name, defaults)} Allowed: {', '.join(defaults) or 'none'}."
            )
        allowed = defaults[name]
        if isinstance(allowed, tuple) and value not in allowed:
            raise BackboneError(
                f"backbone.options.{name}: found {value!r}. Allowed: {', '.join(allowed)}."
            )
        is_whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not isinstance(allowed, tuple) and not is_whole:
            raise BackboneError(
                f"backbone.options.{name}: {value!r} is not a whole number of at least 1."
            )
        options[name] = value
    return options
