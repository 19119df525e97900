"""A file of more than 8 bits -> its samples, by what reads its format as it is meant."""

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
    """The samples of a picture of more than 8 bits, as stored; None for one of 8.

    Decoders raise anything where it is damaged.

    Args:
        content: The whole file.
        header: What `read_header` says of it.
        white_if_open: White of files that do not say it themselves, where that is known.

    Raises:
        SamplesError: It is damaged, or says too little to be shown.
    """
    if header.format == "PNG":
        return _read_png(content) if content[24] == 16 else None
    if header.format == "TIFF":
        return read_tiff(content, white_if_open)
    if header.format == "JPEG2000":
        return read_jpeg2000(content)
    return read_netpbm(content) if header.format == "PPM" else None


def _read_png(content: bytes) -> DeepPicture:
    """Not by TensorFlow, whose reading is what the gate checks."""
    import imagecodecs

    values = np.atleast_3d(imagecodecs.png_decode(content))
    has_opacity = values.shape[-1] in (2, 4)
    colours, opacity = (values[..., :-1], values[..., -1:]) if has_opacity else (values, None)
    return DeepPicture(colours, opacity, None, _find_least_bits(content, int(colours.max())))


def _find_least_bits(content: bytes, largest: int) -> int:
    """How many bits the chunk `sBIT` says that colours use, or 8 where there is none.

    The standard has values scaled up to 16 bits; many programs write them as they are. Which was
    done shows in whether a value needs more bits than that.
    """
    place = content.find(b"sBIT", 0, content.find(b"IDAT"))
    if place < 0:
        return LEAST_BITS
    length = int.from_bytes(content[place - 4 : place], "big")
    # The last one of two or four is that of the opacity.
    stated = max(content[place + 4 : place + 4 + (1 if length < 3 else 3)], default=MOST_BITS)
    if not 0 < stated < MOST_BITS or largest >= 2**stated:
        return MOST_BITS
    return max(LEAST_BITS, stated)
