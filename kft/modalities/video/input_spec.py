"""The input of a backbone of videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kft.modalities.explained import ExplainedAxes
from kft.modalities.image.input_spec import GREY, Scaling
from kft.modalities.model_input import Element, InputSpec

CLIP = "clip"
# Parts along frames, height and width: 128 of a clip, since what moves is small.
_PARTS = (8, 4, 4)


@dataclass(frozen=True)
class VideoSpec(InputSpec):
    """Clips of a fixed number of frames, float RGB in [0, 255].

    Attributes:
        frames: Number of frames that the backbone reads.
        height: Height of a frame in pixels.
        width: Width of a frame in pixels.
        scaling: Conversion of pixels to those of pretraining; see `ImageSpec`.
        spare: Number of further frames around them that are decoded, for training clips that
            begin at random.
    """

    frames: int
    height: int
    width: int
    scaling: Scaling = "none"
    spare: int = 0
    modality: str = field(default="video", kw_only=True)

    @property
    def elements(self) -> Mapping[str, Element]:
        """A clip (frames, height, width, 3)."""
        return {CLIP: Element((self.frames + self.spare, self.height, self.width, 3))}

    def prepare(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """See `InputSpec`: the middle frames, scaled to the pixels of pretraining."""
        from keras.layers import Cropping3D

        from kft.modalities.image.scaling import PixelScaling

        clip = inputs[CLIP]
        if self.spare:
            before = self.spare // 2
            around = ((before, self.spare - before), (0, 0), (0, 0))
            clip = Cropping3D(around, data_format="channels_last", name="middle_frames")(clip)
        return {CLIP: PixelScaling(self.scaling, name="pixel_scaling")(clip)}

    @property
    def explained(self) -> ExplainedAxes:
        """See `InputSpec`: frames, height and width."""
        return ExplainedAxes(CLIP, ("frame", "height", "width"), _PARTS)

    def make_neutral(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `InputSpec`: grey frames."""
        return {**inputs, CLIP: np.full_like(inputs[CLIP], GREY)}

    def __str__(self) -> str:
        """Describe the size for messages."""
        return f"{self.frames} frames of {self.height} x {self.width}"
