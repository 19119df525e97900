"""What a backbone of pictures reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from kft.modalities.model_input import InputSpec

if TYPE_CHECKING:
    import keras

Scaling = Literal["none", "unit", "symmetric", "torch", "caffe"]


@dataclass(frozen=True)
class ImageSpec(InputSpec):
    """Float pixels in [0, 255] of one size.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 3 for RGB.
        scaling: How pixels in [0, 255] become what the backbone saw in
            pretraining. 'none': unchanged, the backbone rescales inside.
            'unit': [0, 1]. 'symmetric': [-1, 1]. 'torch': [0, 1], then
            ImageNet's mean and deviation. 'caffe': BGR less ImageNet's mean.
    """

    height: int
    width: int
    channels: int = 3
    scaling: Scaling = "none"
    modality: str = field(default="image", kw_only=True)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        return (self.height, self.width, self.channels)

    @property
    def name(self) -> str:
        """Of the model's input."""
        return "pixels"

    def make_scaling(self) -> keras.Layer:
        """From pixels in [0, 255] to those of pretraining."""
        from kft.modalities.image.scaling import PixelScaling

        return PixelScaling(self.scaling, name="pixel_scaling")

    def __str__(self) -> str:
        """The size as people read it."""
        return f"{self.height} x {self.width}"
