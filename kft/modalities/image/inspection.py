"""Records of checked and measured pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kft.modalities.checked import Checked
from kft.modalities.image.samples import Samples


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPicture(Checked):
    """Usable picture.

    Attributes:
        format: Format of the content as Pillow names it: `JPEG`, `PNG`, `GIF`, `TIFF` …
        mode: Pixel mode as Pillow names it: `RGB`, `L`, `CMYK`, `P`, `RGBA`, `I;16` …
        width: Width in pixels as stored, before the picture is turned.
        height: Height in pixels as stored.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        samples: Samples of a picture of more than 8 bits; None for 8 bits.
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
        # Orientations from 5 to 8 swap width and height.
        is_turned = self.orientation >= 5
        return (self.height, self.width) if is_turned else (self.width, self.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection(CheckedPicture):
    """Usable picture with the measures of its thumbnail.

    Colours and grey values range from 0 to 255; the picture is upright and on its background.

    Attributes:
        mean_rgb: Mean colour.
        brightness: Mean of the grey values.
        contrast: Standard deviation of the grey values.
        sharpness: Variance of the Laplacian of the grey values; small if blurred.
        border_rgb: Mean colour of the outermost pixels.
        dimming: Brightness relative to that with the picture's own white: below 1 if the depth
            of the data set exceeds that of the picture.
    """

    mean_rgb: tuple[float, float, float]
    brightness: float
    contrast: float
    sharpness: float
    border_rgb: tuple[float, float, float]
    dimming: float = 1.0

    def show_at(self, depth: int) -> Inspection:
        """Adapt the measures to the depth of the data set.

        Brightness scales with the ratio of the two whites, which is exact except for rounding
        and the background of transparent parts.

        Args:
            depth: Depth in bits.
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
