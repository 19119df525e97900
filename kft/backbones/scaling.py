"""The scaling of pixels that a user sets for a backbone which does not know its own."""

from __future__ import annotations

from typing import cast, get_args

from kft.config.schema import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.image.input_spec import Scaling


def requested_scaling(config: BackboneConfig) -> Scaling | None:
    """Read `options.scaling`, the only option of a backbone from a file; None if not set.

    Raises:
        BackboneError: Other options are set, or the scaling is unknown.
    """
    unknown = sorted(set(config.options) - {"scaling"})
    requested = config.options.get("scaling")
    if unknown or (requested is not None and requested not in get_args(Scaling)):
        raise BackboneError(
            f"backbone.options of {config.name!r}: found {dict(config.options)}. "
            f"Allowed: scaling ({', '.join(get_args(Scaling))})."
        )
    return cast("Scaling | None", requested)
