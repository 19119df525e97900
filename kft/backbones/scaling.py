"""The scaling of pixels that a user says for a backbone which does not know its own."""

from __future__ import annotations

from typing import cast, get_args

from kft.config.schema import BackboneConfig
from kft.errors import BackboneError
from kft.modalities.image.input_spec import Scaling


def asked_scaling(config: BackboneConfig) -> Scaling | None:
    """`options.scaling` of a backbone that came as a file and does not know its own; or None.

    Raises:
        BackboneError: There are other options, or the scaling is unknown.
    """
    unknown = sorted(set(config.options) - {"scaling"})
    asked = config.options.get("scaling")
    if unknown or (asked is not None and asked not in get_args(Scaling)):
        raise BackboneError(
            f"backbone.options of {config.name!r}: found {dict(config.options)}. "
            f"Allowed: scaling ({', '.join(get_args(Scaling))})."
        )
    return cast("Scaling | None", asked)
