"""Input of a backbone for pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from kft.modalities.explained import PARTS_PER_AXIS, ExplainedAxes
from kft.modalities.model_input import Element, InputSpec

PIXELS = "pixels"
GREY = 127.5
Scaling = Literal["none", "unit", "symmetric", "torch", "caffe"]


@dataclass(frozen=True)
class ImageSpec(InputSpec):
    """Float pixels in [0, 255] of one size.

    Attributes:
        height: Height in pixels.
        width: Width in pixels.
        channels: Number of channels; 3 for RGB.
        scaling: Conversion of pixels in [0, 255] to those of pretraining.
            'none': unchanged, the backbone rescales inside. 'unit': [0, 1].
            'symmetric': [-1, 1]. 'torch': [0, 1], then ImageNet's mean and
            deviation. 'caffe': BGR less ImageNet's mean.
    """

    height: int
    width: int
    channels: int = 3
    scaling: Scaling = "none"
    modality: str = field(default="image", kw_only=True)

    @property
    def elements(self) -> Mapping[str, Element]:
        """Pixels (height, width, channels)."""
        return {PIXELS: Element((self.height, self.width, self.channels))}

    def prepare(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Scale pixels in [0, 255] to those of pretraining."""
        from kft.modalities.image.scaling import PixelScaling

        return {PIXELS: PixelScaling(self.scaling, name="pixel_scaling")(inputs[PIXELS])}

    @property
    def explained(self) -> ExplainedAxes:
        """See `InputSpec`: height and width."""
        return ExplainedAxes(PIXELS, ("height", "width"), (PARTS_PER_AXIS,) * 2)

    def make_neutral(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `InputSpec`: grey; the mean of a picture's own colours would resemble it."""
        return {**inputs, PIXELS: np.full_like(inputs[PIXELS], GREY)}

    def __str__(self) -> str:
        """Describe the size for messages."""
        return f"{self.height} x {self.width}"
