"""Samples of pictures of more than 8 bits, as stored in their files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kft.modalities.image.background import BACKGROUND_VALUES
from kft.modalities.image.sample_scale import FULL_DEPTH, FULL_SCALE, scale_samples

# Depths that `data.image.depth` allows.
LEAST_BITS, MOST_BITS = 8, FULL_DEPTH
# Number of channels of a picture of more than 8 bits -> mode as Pillow names it.
DEEP_MODES = {1: "I;16", 2: "LA", 3: "RGB", 4: "RGBA"}
_ADVICE = (
    "kft reads 1 (grey) or 3 (red, green, blue), each with or without an opacity channel. Save "
    "the channels that you need as such a picture"
)


class SamplesError(Exception):
    """Reason why the samples of a picture cannot be shown."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Range of the samples of a file of more than 8 bits.

    Attributes:
        bits: Number of bits that the largest sample needs, and at least the number in its header.
        largest: Largest sample of a colour, as stored.
        white: White according to the header; None if the format does not define it, as with
            16 bits, of which the values may use fewer.
    """

    bits: int
    largest: int
    white: int | None = None

    @property
    def own_white(self) -> int:
        """White according to this file alone."""
        return self.white or 2**self.bits - 1


@dataclass(frozen=True)
class DeepPicture:
    """Picture of more than 8 bits.

    Attributes:
        colours: uint16 (height, width, 1 or 3), as stored; larger is brighter.
        opacity: uint16 (height, width, 1); 65,535 is opaque. None if everything is opaque.
        white: White according to the header; None if it does not define it.
        least_bits: Number of used bits according to the header, for a file without a defined
            white.
    """

    colours: np.ndarray
    opacity: np.ndarray | None = None
    white: int | None = None
    least_bits: int = LEAST_BITS

    @property
    def samples(self) -> Samples:
        """Range of its samples."""
        largest = int(self.colours.max())
        used = largest if self.white is None else self.white
        return Samples(max(count_bits(used), self.least_bits), largest, self.white)

    def show(self, white: int, background: str) -> np.ndarray:
        """Convert to 8 bits, uint8 (height, width, 3), opaque.

        Args:
            white: Sample that becomes 255.
            background: `white` or `black`, behind transparent parts.
        """
        shape = (*self.colours.shape[:2], 3)
        colours = np.broadcast_to(scale_samples(self.colours, white), shape)
        if self.opacity is None:
            return colours
        return lay_on(background, colours, scale_samples(self.opacity, FULL_SCALE))

    def join(self) -> np.ndarray:
        """Join all channels, uint16 (height, width, 1 to 4)."""
        if self.opacity is None:
            return self.colours
        return np.concatenate([self.colours, self.opacity], axis=-1)


def count_bits(largest: int) -> int:
    """Count the bits that a sample needs, at least 8."""
    return max(LEAST_BITS, largest.bit_length())


def lay_on(background: str, colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Mix colours uint8 (…, 3) of opacity uint8 (…, 1) with a background, as the graph does."""
    share = opacity.astype(np.int32)
    behind = BACKGROUND_VALUES[background] * (255 - share)
    return ((colours.astype(np.int32) * share + behind + 127) // 255).astype(np.uint8)


def describe_channels(number: int, what: str = "") -> str:
    """Describe why a picture with this number of channels cannot be used, and the remedy.

    Args:
        number: Number of channels.
        what: Description of the channels, which follows the number.
    """
    noun = "channel" if number == 1 else "channels"
    return f"{number} {noun}{what}; {_ADVICE}"


def describe_numbers(what: str) -> str:
    """Why a picture whose samples are such numbers cannot be used, and what to do."""
    return f"its pixels are {what} of an unknown range; convert it to 8 or 16 bits"


def refuse_bits(bits: Sequence[int]) -> None:
    """Refuse channels of different depths, or of more bits than are read.

    Args:
        bits: The depths of its channels, each once.

    Raises:
        SamplesError: It says what was found.
    """
    advice = "convert it to 8 or 16 bits"
    if len(bits) > 1:
        depths = " and ".join(map(str, bits))
        raise SamplesError(f"channels of {depths} bits in one picture; {advice}")
    if bits[0] > MOST_BITS:
        raise SamplesError(f"{bits[0]} bits per value; at most {MOST_BITS} are read, so {advice}")


def divide_by_opacity(colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Undo the multiplication of uint16 colours by their opacity (65,535 is opaque)."""
    whole = np.maximum(opacity, 1).astype(np.uint64)
    divided = (colours.astype(np.uint64) * FULL_SCALE + whole // 2) // whole
    return np.minimum(divided, FULL_SCALE).astype(np.uint16)
