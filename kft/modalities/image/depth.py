"""Common depth of all pictures of a data set, so that equal samples are equally bright."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from kft.examples import Calibration
from kft.modalities.checked import TrainedCalibration
from kft.modalities.image.inspection import CheckedPicture
from kft.modalities.image.samples import MOST_BITS, Samples, count_bits
from kft.printing import readable


def find_excess(samples: Samples, set_depth: int | None, trained: TrainedCalibration | None) -> str:
    """Return the reason why a picture of more than 8 bits cannot be shown; '' if it can.

    Args:
        samples: Samples of the picture.
        set_depth: `data.image.depth` if it is a number, else None.
        trained: Calibration of the model that will see the picture.
    """
    used = count_bits(samples.largest)
    depth = trained.value if trained and trained.value else set_depth
    if samples.white is not None:
        return ""
    if depth is not None and used > depth:
        whose = "the model was trained with" if trained else "data.image.depth is"
        return (
            f"its largest sample, {samples.largest:,}, needs {used} bits, but {whose} {depth} "
            f"(white is {2**depth - 1:,})"
        )
    if trained is not None and depth is None and max(used, samples.bits) < MOST_BITS:
        return (
            f"{used} of its 16 bits are used, so its white is unknown, and the model was "
            "trained on pictures of 8 bits. Save it with 8 bits"
        )
    return ""


def find_depth(
    checked: Sequence[CheckedPicture],
    set_depth: Literal["auto"] | int,
    trained: TrainedCalibration | None = None,
) -> Calibration | None:
    """Find the depth of a data set; None if all pictures have 8 bits and no depth is set.

    A white defined by the header of a file applies to that file. For all others, the depth is
    the number of bits that their largest sample needs, or that a header says, if larger.

    Args:
        checked: Usable files.
        set_depth: `data.image.depth`.
        trained: Calibration of the model that will see them.
    """
    deep = [(each.name, each.samples) for each in checked if each.samples is not None]
    if trained is not None:
        if trained.value is None and not deep:
            return None
        bits, origin = trained.value or MOST_BITS, "as in the training of the model"
        if trained.value is None:
            origin = "all bits of the files, because the model was trained on pictures of 8 bits"
    elif set_depth != "auto":
        bits, origin = set_depth, "set by data.image.depth"
    elif deep:
        name, samples = max(deep, key=lambda item: item[1].bits)
        bits, origin = samples.bits, _name_origin(name, samples, deep)
    else:
        return None
    parts = [f"{bits} bits, so {2**bits - 1:,} is white: {origin}"]
    stated = {samples.white for _, samples in deep if samples.white is not None}
    if stated - {2**bits - 1}:
        parts.append(_name_whites(deep, stated))
    if deep and len(deep) < len(checked):
        parts.append(f"{len(checked) - len(deep):,} pictures of 8 bits keep 255 as their white")
    return Calibration("Depth", bits, "; ".join(parts))


def _name_origin(name: str, samples: Samples, deep: Sequence[tuple[str, Samples]]) -> str:
    count = f"{len(deep):,} picture{'' if len(deep) == 1 else 's'} of more than 8 bits"
    if samples.white is not None or count_bits(samples.largest) < samples.bits:
        return f"from the headers of {count}, the largest in {_shown(name)}"
    open_ones = [item for item in deep if item[1].white is None]
    name, samples = max(open_ones, key=lambda item: item[1].largest)
    return f"needed for the largest sample of {count}, {samples.largest:,} in {_shown(name)}"


def _shown(name: str) -> str:
    """Return the name of a file with control characters escaped."""
    name = readable(name)
    return name if name.isprintable() else ascii(name)[1:-1]


def _name_whites(deep: Sequence[tuple[str, Samples]], stated: set[int]) -> str:
    number = sum(samples.white is not None for _, samples in deep)
    whites = f"{min(stated):,}" if len(stated) == 1 else f"{min(stated):,} to {max(stated):,}"
    return (
        f"{number:,} of them use the white of their own header, {whites} (data.image.depth sets "
        "one for all)"
    )
