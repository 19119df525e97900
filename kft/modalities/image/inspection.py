"""What is known of a picture once its file was read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kft.modalities.checked import Checked
from kft.modalities.image.samples import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPicture(Checked):
    """A picture that can be used.

    Attributes:
        format: By content, in Pillow's words: `JPEG`, `PNG`, `GIF`, `TIFF` …
        mode: Of its pixels, in Pillow's words: `RGB`, `L`, `CMYK`, `P`, `RGBA`, `I;16` …
        width: Pixels as they are stored, before the picture is turned.
        height: Pixels as they are stored.
        orientation: EXIF's, 1 to 8; 1 is upright.
        samples: Of a picture of more than 8 bits; None for one of 8.
    """

    format: str
    mode: str
    width: int
    height: int
    orientation: int = 1
    samples: Samples | None = None

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height in pixels, turned upright."""
        # Orientations from 5 on lie on their side.
        is_turned = self.orientation >= 5
        return (self.height, self.width) if is_turned else (self.width, self.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(CheckedPicture):
    """A picture that can be used, and what a thumbnail of it says.

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
