"""PGM and PPM of more than 8 bits."""

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
    """The samples of a PGM or PPM whose largest value is above 255; else None.

    Raises:
        SamplesError: It is damaged or cut off, or has samples above the largest value that it
            states.
    """
    if content[1:2] not in b"2356":
        return None
    header = _HEADER.match(content)
    if header is None:
        raise SamplesError("damaged: its header makes no sense")
    kind, width, height, largest = map(int, header.groups())
    if largest < 256:
        return None
    shape = (height, width, 3 if kind in _COLOUR else 1)
    values = _read_values(content[header.end() :], kind, int(np.prod(shape)))
    if values.max() > largest:
        raise SamplesError(
            f"damaged: a value of {values.max()}, though its header says that {largest} is the "
            "largest"
        )
    # The largest number of 16 bits is what programs write that know no better.
    white = None if largest == FULL_SCALE else largest
    return DeepPicture(values.astype(np.uint16).reshape(shape), white=white)


def _read_values(content: bytes, kind: int, count: int) -> np.ndarray:
    """The first numbers, written out or of two bytes each: as many as there should be."""
    if kind in _AS_TEXT:
        values = np.array(content.split(None, count)[:count], dtype=np.int64)
    else:
        values = np.frombuffer(content[: 2 * count], ">u2")
    if len(values) < count:
        raise SamplesError(f"cut off: {len(values)} of {count} values")
    return values
