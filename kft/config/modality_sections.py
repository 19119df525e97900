"""How the examples of each modality are read: `data.image`, and what a modality of others adds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kft.config.section import Section

# What is taken for granted where neither settings nor files say another.
DEFAULT_MODALITY = "image"
Background = Literal["white", "black"]
Depth = Literal["auto"] | Annotated[int, Field(ge=8, le=16)]
Resize = Literal["stretch", "crop", "pad"]


class ModalityConfig(Section):
    """Settings of one modality, at `data.<name of the modality>`."""

    augmentation: str = "none"
    """Random changes of training examples, by the name of a preset of the modality."""


class ImageConfig(ModalityConfig):
    """How pictures are read, decoded and augmented."""

    augmentation: Literal[
        "none", "light", "medium", "strong", "trivial_augment", "rand_augment", "aug_mix"
    ] = "light"
    """Random changes of training pictures; `kft data PHOTOS --show-augmented` draws them."""
    resize: Resize = "stretch"
    """How a picture becomes square: stretched, its centre cropped, or padded with black."""
    background: Background = "white"
    """What shows through the transparent parts of a picture."""
    depth: Depth = "auto"
    """Bits of pictures of more than 8: 12 makes 4095 white. `auto`: headers, else all samples."""
    max_megapixels: Annotated[float, Field(gt=0.0, le=1000.0)] = 100.0
    """Larger pictures are not decoded: their memory is known from their header."""
