"""What is known of a picture before it is decoded."""

from __future__ import annotations

from dataclasses import dataclass

TURNED = "EXIF orientation"
ANIMATED = "animated: its first frame is used"
SEVERAL_PAGES = "several pages: the first is used"


class HeaderError(Exception):
    """Why the bytes are no picture that can be used."""


@dataclass(frozen=True, slots=True)
class Header:
    """A picture from outside.

    Attributes:
        format: In Pillow's words: `JPEG`, `PNG`, `TIFF` …
        mode: Of its pixels, in Pillow's words: `RGB`, `L`, `CMYK` …
        width: Pixels as they are stored.
        height: Pixels as they are stored.
        orientation: EXIF's, 1 to 8.
        looks_whole: It is a JPEG or PNG of a usual kind, from its first mark to its last, that
            the decoder of training and serving shows as it is meant. Damage in between is seen
            only by decoding it; where this is false, nothing is known.
        repairs: Why that decoder would not show it as it is meant, as far as a header tells.
        noticed: What else is worth a word.
        pixels_at: Place of the first scan of a JPEG.
    """

    format: str
    mode: str
    width: int
    height: int
    orientation: int
    looks_whole: bool
    repairs: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    pixels_at: int = 0
