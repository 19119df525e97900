"""Outlines of a COCO file, drawn as masks."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from kft.config.mask_section import MOST_CLASSES
from kft.modalities.annotated import AnnotationError, Outlined
from kft.modalities.image.annotations.json_arrays import read_arrays
from kft.modalities.image.masks import cached_masks
from kft.runs.atomic import atomic_file

VERSION = 1  # increases with each change of how outlines are drawn
BACKGROUND = "background"
_LEAST_NUMBERS = 6


@dataclass
class _Picture:
    name: str
    size: tuple[int, int]
    shapes: list[tuple[int, float, bool, list[array]]]
    problem: str | None = None


def read_outlines(path: Path) -> tuple[tuple[str, ...], list[Outlined]]:
    """Read a COCO file, and draw the outlines of each picture as a mask in the cache folder.

    Larger objects are drawn first, so that what lies in front of them stays. Memory holds the
    coordinates, not the texts.

    Args:
        path: The JSON file.

    Returns:
        Names of the classes, `background` first; and the pictures in the order of the file.

    Raises:
        AnnotationError: The file has another form.
    """
    names: dict[Any, str] = {}
    for _, each in read_arrays(path, {"categories"}):
        if not isinstance(each, dict) or not isinstance(each.get("name"), str) or "id" not in each:
            raise AnnotationError(f"{path}: category {_short(each)} lacks an id and a name.")
        names[each["id"]] = each["name"]
    classes = (BACKGROUND, *(name for name in names.values() if name != BACKGROUND))
    if not names or len(classes) > MOST_CLASSES or len(set(classes)) < len(classes):
        raise AnnotationError(
            f"{path}: {len(names)} categories. Expected 1 to {MOST_CLASSES - 1} with different "
            "names."
        )
    codes = {key: classes.index(name) for key, name in names.items()}
    pictures = _read_pictures(path)
    for _, each in read_arrays(path, {"annotations"}):
        key = each.get("image_id") if isinstance(each, dict) else None
        if key not in pictures:
            raise AnnotationError(f"{path}: annotation {_short(each)} is of no listed image.")
        picture = pictures[key]
        try:
            picture.shapes.append(_read_shape(each, codes, picture.size))
        except ValueError as reason:
            picture.problem = picture.problem or f"annotation {each.get('id')} {reason}"
    return classes, [_draw(picture) for picture in pictures.values()]


def _read_pictures(path: Path) -> dict[Any, _Picture]:
    pictures: dict[Any, _Picture] = {}
    for _, each in read_arrays(path, {"images"}):
        known = each if isinstance(each, dict) else {}
        key, name = known.get("id"), known.get("file_name")
        width, height = known.get("width"), known.get("height")
        if key is None or key in pictures or not isinstance(name, str) or not name:
            raise AnnotationError(
                f"{path}: image {_short(each)} lacks an id and a file_name, or its id is repeated."
            )
        if isinstance(width, int) and isinstance(height, int) and min(width, height) > 0:
            pictures[key] = _Picture(name, (width, height), [])
        else:
            pictures[key] = _Picture(name, (1, 1), [], "its width and height are not stated")
    if not pictures:
        raise AnnotationError(f"{path}: there are no images.")
    return pictures


def _read_shape(
    each: Mapping[str, Any], codes: Mapping[Any, int], size: tuple[int, int]
) -> tuple[int, float, bool, list[array]]:
    """Read class, area, whether it is of runs, and coordinates or runs.

    Raises:
        ValueError: The annotation cannot be drawn; it says why.
    """
    if each.get("category_id") not in codes:
        raise ValueError(f"is of category {each.get('category_id')!r}, which is not listed")
    shape = each.get("segmentation")
    code = codes[each["category_id"]]
    if isinstance(shape, dict):
        runs = _read_runs(shape, size)
        return code, float(sum(runs[1::2])), True, [runs]
    if not isinstance(shape, list) or not shape:
        raise ValueError("has no outline (`segmentation`)")
    outlines = []
    for outline in shape:
        is_outline = isinstance(outline, list) and len(outline) >= _LEAST_NUMBERS
        if not is_outline or len(outline) % 2 or not all(map(_is_number, outline)):
            raise ValueError(f"has outline {_short(outline)}; expected x and y of 3 or more points")
        outlines.append(array("d", outline))
    return code, sum(map(_find_area, outlines)), False, outlines


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _find_area(outline: array) -> float:
    x, y = np.array(outline[0::2]), np.array(outline[1::2])
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _read_runs(shape: Mapping[str, Any], size: tuple[int, int]) -> array:
    """Read run lengths, column by column: of nothing first, then of the object in turn."""
    counts = shape.get("counts")
    runs = array("q", _decompress(counts) if isinstance(counts, str) else counts or [])
    if shape.get("size") != [size[1], size[0]] or sum(runs) != size[0] * size[1] or min(runs) < 0:
        raise ValueError(f"has runs that do not cover the picture of {size[0]} x {size[1]}")
    return runs


def _decompress(text: str) -> Iterator[int]:
    """Decode the text form of run lengths: groups of 5 bits, differences from the second last.

    Source: pycocotools, rleFrString.
    """
    runs: list[int] = []
    place = 0
    while place < len(text):
        value, shift, more = 0, 0, True
        while more:
            if place == len(text):
                raise ValueError("has runs that are cut off")
            bits = ord(text[place]) - 48
            value |= (bits & 0x1F) << shift
            more, place, shift = bool(bits & 0x20), place + 1, shift + 5
            if not more and bits & 0x10:
                value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    yield from runs


def _draw(picture: _Picture) -> Outlined:
    if picture.problem is not None:
        return Outlined(picture.name, None, picture.problem)
    digest = hashlib.sha256(f"outlines {VERSION} {picture.size}".encode())
    ordered = sorted(picture.shapes, key=lambda shape: -shape[1])
    for code, _, is_runs, parts in ordered:
        digest.update(f"{code} {is_runs} {len(parts)}".encode())
        for part in parts:
            digest.update(part.tobytes())
    key = digest.hexdigest()[:32]
    path = cached_masks() / key[:2] / f"{key}.png"
    if not path.is_file():
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            _paint(picture.size, ordered).save(file, format="PNG", compress_level=1)
    return Outlined(picture.name, str(path))


def _paint(
    size: tuple[int, int], shapes: Sequence[tuple[int, float, bool, list[array]]]
) -> Image.Image:
    mask = Image.new("L", size, 0)
    for code, _, is_runs, parts in shapes:
        if is_runs:
            flags = np.repeat(np.arange(len(parts[0])) % 2, parts[0]).astype(bool)
            inside = Image.fromarray(np.ascontiguousarray(flags.reshape(size).T) * np.uint8(255))
            mask.paste(code, mask=inside)
            continue
        draw = ImageDraw.Draw(mask)
        for outline in parts:
            draw.polygon(outline.tolist(), fill=code)
    return mask


def _short(value: Any) -> str:
    return json.dumps(value)[:120]
