"""Checked pictures, made by hand."""

from __future__ import annotations

import hashlib

from kft.modalities.image.inspection import Inspection


def inspect(name: str = "a.jpg", **changes: object) -> Inspection:
    """Make an ordinary photograph of that name, with changes."""
    usual = {
        "path": f"/photos/{name}",
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "size": 40_000,
        "changed_ns": 0,
        "format": "JPEG",
        "mode": "RGB",
        "width": 500,
        "height": 375,
        "likeness": 0,
        "mean_rgb": (120.0, 110.0, 100.0),
        "brightness": 110.0,
        "contrast": 60.0,
        "sharpness": 800.0,
        "border_rgb": (120.0, 110.0, 100.0),
    }
    return Inspection(name=name, **(usual | changes))
