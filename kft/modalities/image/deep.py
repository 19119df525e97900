"""Reader of the samples of a file of more than 8 bits, with the right decoder for each format."""

from __future__ import annotations

import numpy as np

from kft.modalities.image.header_record import Header
from kft.modalities.image.jpeg2000 import read_jpeg2000
from kft.modalities.image.netpbm import read_netpbm
from kft.modalities.image.samples import LEAST_BITS, MOST_BITS, DeepPicture
from kft.modalities.image.tiff import read_tiff


def read_deep(
    content: bytes, header: Header, white_if_open: int | None = None
) -> DeepPicture | None:
    """Read the samples of a picture of more than 8 bits, as stored; None for 8 bits.

    Decoders raise all kinds of errors if the picture is damaged.

    Args:
        content: Content of the file.
        header: Its header, from `read_header`.
        white_if_open: White of files that do not define it, if known.

    Raises:
        SamplesError: The picture is damaged, or lacks information to show it.
    """
    if header.format == "PNG":
        return _read_png(content) if content[24] == 16 else None
    if header.format == "TIFF":
        return read_tiff(content, white_if_open)
    if header.format == "JPEG2000":
        return read_jpeg2000(content)
    return read_netpbm(content) if header.format == "PPM" else None


def _read_png(content: bytes) -> DeepPicture:
    """Read a PNG without TensorFlow, whose result the file check verifies."""
    import imagecodecs

    values = np.atleast_3d(imagecodecs.png_decode(content))
    has_opacity = values.shape[-1] in (2, 4)
    colours, opacity = (values[..., :-1], values[..., -1:]) if has_opacity else (values, None)
    return DeepPicture(colours, opacity, None, _find_least_bits(content, int(colours.max())))


def _find_least_bits(content: bytes, largest: int) -> int:
    """Read the number of bits that colours use from the chunk `sBIT`; 8 if there is none.

    The standard requires values scaled up to 16 bits, but many programs write them unscaled.
    Values are scaled if one of them needs more bits than stated.
    """
    place = content.find(b"sBIT", 0, content.find(b"IDAT"))
    if place < 0:
        return LEAST_BITS
    length = int.from_bytes(content[place - 4 : place], "big")
    # The last of two or four numbers is that of the opacity.
    stated = max(content[place + 4 : place + 4 + (1 if length < 3 else 3)], default=MOST_BITS)
    if not 0 < stated < MOST_BITS or largest >= 2**stated:
        return MOST_BITS
    return max(LEAST_BITS, stated)
