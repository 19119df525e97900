"""Reader of PGM and PPM pictures of more than 8 bits."""

from __future__ import annotations

import re

import numpy as np

from kft.modalities.image.sample_scale import FULL_SCALE
from kft.modalities.image.samples import DeepPicture, SamplesError

_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"
_HEADER = re.compile(rb"P([2356])" + _GAP + _GAP.join([rb"(\d{1,9})"] * 3) + rb"\s")
_AS_TEXT = (2, 3)
_COLOUR = (3, 6)


def read_netpbm(content: bytes) -> DeepPicture | None:
    """Read the samples of a PGM or PPM with a largest value above 255; None for others.

    Raises:
        SamplesError: The picture is damaged or cut off, or has samples above the largest value
            in its header.
    """
    if content[1:2] not in b"2356":
        return None
    header = _HEADER.match(content)
    if header is None:
        raise SamplesError("damaged: its header is invalid")
    kind, width, height, largest = map(int, header.groups())
    if largest < 256:
        return None
    shape = (height, width, 3 if kind in _COLOUR else 1)
    values = _read_values(content[header.end() :], kind, int(np.prod(shape)))
    if values.max() > largest:
        raise SamplesError(
            f"damaged: a value of {values.max()}, but the largest value in its header is {largest}"
        )
    # Programs that do not know the real maximum write the largest number of 16 bits.
    white = None if largest == FULL_SCALE else largest
    return DeepPicture(values.astype(np.uint16).reshape(shape), white=white)


def _read_values(content: bytes, kind: int, count: int) -> np.ndarray:
    """Read `count` numbers, as text or as two bytes each."""
    if kind in _AS_TEXT:
        values = np.array(content.split(None, count)[:count], dtype=np.int64)
    else:
        values = np.frombuffer(content[: 2 * count], ">u2")
    if len(values) < count:
        raise SamplesError(f"cut off: {len(values)} of {count} values")
    return values
