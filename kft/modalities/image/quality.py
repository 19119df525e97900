"""Search for pictures that show little: tiny, blank, very dark, blurred."""

from __future__ import annotations

from collections.abc import Sequence

from kft.findings import Finding
from kft.modalities.image.inspection import Inspection
from kft.modalities.poor_examples import PoorCase, find_poor_examples

# The smallest icons have 16 pixels; even a person recognises little in fewer.
TINY_PIXELS = 16
# Deviation of the grey value, 0 to 255: JPEG artefacts in one colour stay below 2.
BLANK_CONTRAST = 3.0
# Mean grey value, 0 to 255: a tenth of that of a common photograph.
DARK_BRIGHTNESS = 12.0
# Variance of the Laplacian over that of the grey values, so fog does not count as blur. Of 1,400
# photographs of four data sets none is below 0.07; if blurred by 8 of 500 pixels, 99 of 100 are
# below 0.02.
BLURRED_RATIO = 0.02


def _is_blank(seen: Inspection) -> bool:
    return seen.contrast < BLANK_CONTRAST


def _is_dark(seen: Inspection) -> bool:
    return seen.brightness < DARK_BRIGHTNESS


def _is_dimmed(seen: Inspection) -> bool:
    """Whether a picture is blank or dark only at the depth of its data set."""
    own_contrast, own_brightness = seen.contrast / seen.dimming, seen.brightness / seen.dimming
    turned_blank = _is_blank(seen) and own_contrast >= BLANK_CONTRAST
    return turned_blank or (_is_dark(seen) and own_brightness >= DARK_BRIGHTNESS)


# Each picture is reported once, by the first case that applies: a blank one is also blurred.
_CASES = (
    PoorCase(
        "tiny",
        lambda seen: min(seen.width, seen.height) < TINY_PIXELS,
        f"with a side of fewer than {TINY_PIXELS} pixels, too few to show anything. Remove them, "
        "or find the originals.",
        lambda seen: f"{seen.width} x {seen.height}",
    ),
    PoorCase(
        "dimmed",
        _is_dimmed,
        "that look dark or of one colour at the depth of the data set, but not at their own "
        "depth. Keep them if brightness carries meaning. Otherwise look at the picture with the "
        "largest sample, which the line on depth names: if it is faulty, remove it or set "
        "data.image.depth.",
        lambda seen: (
            f"mean {seen.brightness:.1f}, at its own depth {seen.brightness / seen.dimming:.1f}"
        ),
    ),
    PoorCase(
        "blank",
        _is_blank,
        f"of one colour (the deviation of the grey value is below {BLANK_CONTRAST:g} of 255): "
        "they show nothing. Remove them.",
        lambda seen: f"deviation {seen.contrast:.1f}",
    ),
    PoorCase(
        "dark",
        _is_dark,
        f"that are very dark (the mean grey value is below {DARK_BRIGHTNESS:g} of 255). Check "
        "that they show what their label says.",
        lambda seen: f"mean {seen.brightness:.1f}",
    ),
    PoorCase(
        "blurred",
        lambda seen: measure_blur(seen) < BLURRED_RATIO,
        "without any sharp edge (the variance of the Laplacian over that of the grey value is "
        f"below {BLURRED_RATIO:g}). Check that they show what their label says.",
        lambda seen: f"ratio {measure_blur(seen):.4f}",
    ),
)


def measure_blur(seen: Inspection) -> float:
    """Compute sharpness in units of squared contrast; smaller means more blurred.

    Source: Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000, for the
    variance of the Laplacian.
    """
    return seen.sharpness / max(seen.contrast, 1e-6) ** 2


def find_poor(seen: Sequence[Inspection]) -> tuple[Finding, ...]:
    """Find tiny, blank, dark and blurred pictures by fixed thresholds, which the findings state."""
    return find_poor_examples(seen, _CASES, noun="picture")
