"""What is known of a file once it was read: what the gate hands to splitting and to the audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kft.examples import Examples
from kft.modalities.image.samples import Samples


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that can be used.

    Attributes:
        name: The example's id.
        path: What is to be read: the file itself, or its conversion in the cache.
        digest: SHA-256 of the file itself.
        size: Bytes of what is to be read.
        changed_ns: When it was last changed, in nanoseconds since 1970.
        format: By content, in Pillow's words: `JPEG`, `PNG`, `GIF`, `TIFF` …
        mode: Of its pixels, in Pillow's words: `RGB`, `L`, `CMYK`, `P`, `RGBA`, `I;16` …
        width: Pixels as they are stored, before the picture is turned.
        height: Pixels as they are stored.
        orientation: EXIF's, 1 to 8; 1 is upright.
        repaired: Why it is used as converted: `CMYK`, `TIFF` …; empty where it is used as it is.
        noticed: What else is worth a word: `ending does not match the content` …
        likeness: Perceptual hash of 64 bits: pictures that look the same differ in few of them.
            None for one that is too plain to be told by its looks, or where none was asked for.
        samples: Of a picture of more than 8 bits; None for one of 8.
    """

    name: str
    path: str
    digest: str
    size: int
    changed_ns: int
    format: str
    mode: str
    width: int
    height: int
    orientation: int = 1
    repaired: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    likeness: int | None = None
    samples: Samples | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(Checked):
    """A file that can be used, and what a thumbnail of it says.

    Colours and grey values are from 0 to 255, of the picture turned upright and laid on the
    background.

    Attributes:
        mean_rgb: Mean colour.
        brightness: Mean of the grey values.
        contrast: Standard deviation of the grey values.
        sharpness: Variance of the Laplacian of the grey values; small where blurred.
        border_rgb: Mean colour of the outermost pixels.
        dimming: How many times as bright as by its own white the picture is shown: below 1 where
            the depth of the data set is more than this picture uses.
    """

    mean_rgb: tuple[float, float, float]
    brightness: float
    contrast: float
    sharpness: float
    border_rgb: tuple[float, float, float]
    dimming: float = 1.0

    def show_at(self, depth: int) -> Inspection:
        """The measures of the picture as it is shown at the depth of its data set.

        Brightness goes by the ratio of the two whites, which is exact but for rounding and for
        the background of transparent parts.

        Args:
            depth: In bits.
        """
        if self.samples is None or self.samples.white is not None:
            return self
        ratio = self.samples.own_white / (2**depth - 1)
        return replace(
            self,
            mean_rgb=_scale_colour(self.mean_rgb, ratio),
            brightness=self.brightness * ratio,
            contrast=self.contrast * ratio,
            sharpness=self.sharpness * ratio**2,
            border_rgb=_scale_colour(self.border_rgb, ratio),
            dimming=self.dimming * ratio,
        )


def _scale_colour(colour: tuple[float, float, float], ratio: float) -> tuple[float, float, float]:
    red, green, blue = colour
    return red * ratio, green * ratio, blue * ratio


def to_be_read(checked: Sequence[Checked], targets: np.ndarray) -> Examples:
    """Examples of what was checked: what is to be read for each, and its state.

    Args:
        checked: Those that can be used.
        targets: As of `Examples`, in their order.
    """
    return Examples(
        ids=tuple(each.name for each in checked),
        paths=tuple(each.path for each in checked),
        targets=targets,
        stamps=tuple((each.size, each.changed_ns) for each in checked),
    )
