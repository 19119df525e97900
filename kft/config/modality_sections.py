"""Sections of the modalities: `data.image`, and the base of sections that other modalities add."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kft.config.section import Section

# The modality if neither settings nor files decide it.
DEFAULT_MODALITY = "image"
Background = Literal["white", "black"]
Depth = Literal["auto"] | Annotated[int, Field(ge=8, le=16)]
Resize = Literal["stretch", "crop", "pad"]


class ModalityConfig(Section):
    """Settings of one modality, at `data.<name of the modality>`."""

    augmentation: str = "none"
    """Augmentation of training examples: the name of one of the modality's presets."""


class ImageConfig(ModalityConfig):
    """Reading, decoding and augmentation of pictures."""

    augmentation: Literal[
        "none", "light", "medium", "strong", "trivial_augment", "rand_augment", "aug_mix"
    ] = "light"
    """Augmentation of training pictures; `kft data PHOTOS --show-augmented` draws it."""
    resize: Resize = "stretch"
    """Method to make pictures square: stretch, crop the centre, or pad with black."""
    background: Background = "white"
    """Colour behind the transparent parts of a picture."""
    depth: Depth = "auto"
    """Bit depth of pictures of more than 8 bits: with 12, 4095 is white; `auto` finds it."""
    max_megapixels: Annotated[float, Field(gt=0.0, le=1000.0)] = 100.0
    """Size limit of pictures, read from the header; larger pictures are not decoded."""


class TextConfig(ModalityConfig):
    """Reading, tokenization and augmentation of texts."""

    augmentation: Literal["none", "word_dropout"] = "none"
    """Augmentation of training texts; `word_dropout` hides one token in ten."""
    max_tokens: Literal["auto"] | Annotated[int, Field(ge=4, le=32_768)] = "auto"
    """Number of tokens that are read of each text; `auto`: what 95 of 100 training texts need."""
    max_characters: Annotated[int, Field(ge=1)] = 1_000_000
    """Size limit of texts in characters; longer texts are not used."""


class AudioConfig(ModalityConfig):
    """Reading, decoding and augmentation of recordings."""

    augmentation: Literal["none", "light", "medium", "strong"] = "none"
    """Augmentation of training recordings; `light` shifts them and changes their level."""
    seconds: Literal["auto"] | Annotated[float, Field(ge=0.05, le=600.0)] = "auto"
    """Seconds that the model hears of each recording; `auto` covers 95 % of them, at most 10."""
    window_seconds: Annotated[float, Field(ge=0.05, le=600.0)] = 1.0
    """Longer recordings are heard in windows of this length, spread evenly over all of them."""
    fill: Literal["repeat", "silence"] = "repeat"
    """What follows a shorter recording: the same again, or silence."""
    max_minutes: Annotated[float, Field(gt=0.0, le=600.0)] = 30.0
    """Length limit of recordings, read from the header; longer ones are not decoded."""


class VideoConfig(ModalityConfig):
    """Reading, decoding and augmentation of videos; `backbone.options.frames` sets their number."""

    augmentation: Literal["none", "start", "light", "medium", "strong"] = "none"
    """Augmentation of training clips, one change for all frames; no preset mirrors them."""
    stride: Literal["auto"] | Annotated[int, Field(ge=1, le=1_000)] = "auto"
    """Frames from one of a clip to the next; `auto` spreads the clip over the whole video."""
    spare: Annotated[int, Field(ge=0, le=256)] = 0
    """Further frames around the clip, among which an augmented training clip starts at random."""
    resize: Resize = "stretch"
    """Method to make frames square: stretch, crop the centre, or pad with black."""
    frames_per_second: Literal["all"] | Annotated[float, Field(gt=0.0, le=240.0)] = "all"
    """Frames that are kept of each second of a video; `all` keeps each of them."""
    kept_side: Annotated[int, Field(ge=32, le=4_320)] = 256
    """Shorter side of the frames that are kept, in pixels; smaller frames stay as they are."""
    max_megapixels: Annotated[float, Field(gt=0.0, le=100.0)] = 10.0
    """Size limit of frames, read from the header; larger videos are not decoded."""
    max_minutes: Annotated[float, Field(gt=0.0, le=600.0)] = 5.0
    """Length limit of videos, read from the header; longer ones are not decoded."""
