"""Pictures of more than 8 bits as their files hold them, before anybody decides what is white."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kft.modalities.image.background import BACKGROUND_VALUES
from kft.modalities.image.sample_scale import FULL_DEPTH, FULL_SCALE, scale_samples

# Depths that `data.image.depth` may name.
LEAST_BITS, MOST_BITS = 8, FULL_DEPTH
# Mode in Pillow's words -> of a picture with so many channels and more than 8 bits.
DEEP_MODES = {1: "I;16", 2: "LA", 3: "RGB", 4: "RGBA"}
_ADVICE = (
    "kft shows 1 (grey) or 3 (red, green, blue), each with or without a channel of opacity. Save "
    "those that you need as such a picture"
)


class SamplesError(Exception):
    """Why the samples of a picture cannot be shown."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What is known of the samples of a file of more than 8 bits.

    Attributes:
        bits: The fewest that hold the largest sample, and no fewer than its header says.
        largest: Largest sample of a colour, as stored.
        white: The sample that its header says is white; None where the format leaves that open,
            as one of 16 bits does whose values may use fewer.
    """

    bits: int
    largest: int
    white: int | None = None

    @property
    def own_white(self) -> int:
        """White as far as this file alone can tell."""
        return self.white or 2**self.bits - 1


@dataclass(frozen=True)
class DeepPicture:
    """A picture of more than 8 bits.

    Attributes:
        colours: uint16 (height, width, 1 or 3), as stored; more is brighter.
        opacity: uint16 (height, width, 1), 65,535 is opaque; None where all is.
        white: The sample that the header says is white; None where it says nothing.
        least_bits: How many bits a header says are used, of a file whose white is open.
    """

    colours: np.ndarray
    opacity: np.ndarray | None = None
    white: int | None = None
    least_bits: int = LEAST_BITS

    @property
    def samples(self) -> Samples:
        """What is known of its samples."""
        largest = int(self.colours.max())
        used = largest if self.white is None else self.white
        return Samples(max(count_bits(used), self.least_bits), largest, self.white)

    def show(self, white: int, background: str) -> np.ndarray:
        """The picture in 8 bits, uint8 (height, width, 3), opaque.

        Args:
            white: The sample that becomes 255.
            background: `white` or `black`, behind what is transparent.
        """
        shape = (*self.colours.shape[:2], 3)
        colours = np.broadcast_to(scale_samples(self.colours, white), shape)
        if self.opacity is None:
            return colours
        return lay_on(background, colours, scale_samples(self.opacity, FULL_SCALE))

    def join(self) -> np.ndarray:
        """All channels, uint16 (height, width, 1 to 4)."""
        if self.opacity is None:
            return self.colours
        return np.concatenate([self.colours, self.opacity], axis=-1)


def count_bits(largest: int) -> int:
    """The fewest bits, and 8 at least, that hold a sample."""
    return max(LEAST_BITS, largest.bit_length())


def lay_on(background: str, colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Colours uint8 (…, 3) of an opacity uint8 (…, 1) before a background, as the graph mixes."""
    share = opacity.astype(np.int32)
    behind = BACKGROUND_VALUES[background] * (255 - share)
    return ((colours.astype(np.int32) * share + behind + 127) // 255).astype(np.uint8)


def describe_channels(number: int, what: str = "") -> str:
    """Why a picture with so many channels cannot be used, and what to do.

    Args:
        number: Of its channels.
        what: What is known of them, to come after the number.
    """
    noun = "channel" if number == 1 else "channels"
    return f"{number} {noun}{what}; {_ADVICE}"


def describe_numbers(what: str) -> str:
    """Why a picture whose samples are such numbers cannot be used, and what to do."""
    return f"its pixels are {what}, whose range nobody states; convert it to 8 or 16 bits"


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
        raise SamplesError(
            f"{bits[0]} bits for each value; at most {MOST_BITS} are read, so {advice}"
        )


def divide_by_opacity(colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Colours uint16 that were multiplied by their opacity (65,535 is opaque), as they were."""
    whole = np.maximum(opacity, 1).astype(np.uint64)
    divided = (colours.astype(np.uint64) * FULL_SCALE + whole // 2) // whole
    return np.minimum(divided, FULL_SCALE).astype(np.uint16)
