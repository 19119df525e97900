"""The one option that each of kft's own backbones of recordings takes."""

from __future__ import annotations

from kft.config.schema import BackboneConfig
from kft.errors import BackboneError


def read_option(config: BackboneConfig, name: str, default: int, least: int, most: int) -> int:
    """Read a whole number of `backbone.options`, and refuse everything else.

    Args:
        config: The pipeline's `backbone` section.
        name: Name of the option.
        default: Its value if it is not set.
        least: Smallest value.
        most: Largest value.

    Raises:
        BackboneError: Another option, a value outside the range, or an input size is set.
    """
    unknown = sorted(set(config.options) - {name})
    value = config.options.get(name, default)
    if (
        unknown
        or isinstance(value, bool)
        or not isinstance(value, int)
        or not least <= value <= most
    ):
        raise BackboneError(
            f"backbone.options: found {dict(config.options)}. Allowed for {config.name}: {name}, a "
            f"whole number from {least} to {most}, by default {default}."
        )
    if config.input_size is not None:
        raise BackboneError(
            f"backbone.input_size: {config.name} takes recordings of any length. Remove the "
            "setting; `data.audio.seconds` sets the length."
        )
    return value
