"""Header of an encoded picture."""

from __future__ import annotations

from dataclasses import dataclass

TURNED = "EXIF orientation"
ANIMATED = "animated: its first frame is used"
SEVERAL_PAGES = "several pages: the first is used"


class HeaderError(Exception):
    """Reason why the bytes are not a usable picture."""


@dataclass(frozen=True, slots=True)
class Header:
    """Properties of a picture that are known without decoding it.

    Attributes:
        format: Format as Pillow names it: `JPEG`, `PNG`, `TIFF` …
        mode: Pixel mode as Pillow names it: `RGB`, `L`, `CMYK` …
        width: Width in pixels as stored.
        height: Height in pixels as stored.
        orientation: EXIF orientation, 1 to 8.
        looks_whole: Whether it is a JPEG or PNG of a usual kind, with its first and last marks,
            that the decoder of training and serving shows correctly. Only decoding can reveal
            damage in between. False says nothing.
        repairs: Reasons why that decoder would show it wrongly, as far as the header tells.
        noticed: Other remarks.
        pixels_at: Byte offset of the first scan of a JPEG.
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
