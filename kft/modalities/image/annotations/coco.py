"""COCO: a JSON file with the arrays `images`, `annotations` and `categories`."""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from kft.modalities.annotated import Annotated, AnnotationError, Annotations, Box
from kft.modalities.image.annotations.json_arrays import read_arrays

LAYOUT = (
    "Expected a JSON file with `images`, `annotations` and `categories`, or a folder with such "
    "files in annotations/, one for each split, or NAME/_annotations.coco.json in each split's "
    "folder"
)
_IMAGES, _BOXES, _CATEGORIES = "images", "annotations", "categories"
_ROBOFLOW = "_annotations.coco.json"
_NUM_SIDES = 4


class _Picture(NamedTuple):
    name: str
    size: tuple[float, float] | None


def is_coco(path: Path) -> bool:
    """Tell whether a path is a JSON file, or a folder with the files of this layout."""
    return bool(_find_files(path))


def read_coco(path: Path, folder: Path | None) -> Annotations:
    """Read one JSON file in the form of COCO, or one for each split.

    A file is read twice, element by element, so that memory holds its names and boxes, but not
    outlines and texts.

    Args:
        path: JSON file, or a folder with several.
        folder: Folder of the pictures; None to look at the usual places.

    Raises:
        AnnotationError: A file has another form, or there is none.
    """
    files = _find_files(path)
    if not files:
        raise AnnotationError(f"{path}: no JSON file of annotations. {LAYOUT}.")
    categories = {file: _read_categories(file) for file in files}
    names = tuple(dict.fromkeys(name for each in categories.values() for name in each.values()))
    root = path if path.is_dir() else path.parent

    def read() -> Iterator[Annotated]:
        for file in files:
            reader = _File(file, categories[file])
            split = _find_word(file, root) if len(files) > 1 else None
            yield from reader.read(folder or reader.find_folder(), split)
            if reader.num_crowds:
                found.notes.append(
                    f"{reader.num_crowds:,} boxes of {file.name} around crowds (`iscrowd`) are "
                    "left out: they are not around one object."
                )

    found = Annotations(folder or root, read, names)
    return found


def _find_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".json" else []
    return sorted((*path.glob(f"{_BOXES}/*.json"), *path.glob(f"*/{_ROBOFLOW}")))


def _find_word(file: Path, root: Path) -> str:
    """Find the word for a file's split, as `train` in instances_train2017.json."""
    word = file.parent.name if file.name == _ROBOFLOW else file.stem
    return re.sub(r"\d+$", "", word.rpartition("_")[2])


def _read_categories(file: Path) -> dict[Any, str]:
    found: dict[Any, str] = {}
    for _, each in read_arrays(file, {_CATEGORIES}):
        is_named = isinstance(each, dict) and isinstance(each.get("name"), str) and "id" in each
        if not is_named or each["id"] in found or each["name"] in found.values():
            raise AnnotationError(
                f"{file}: category {json.dumps(each)[:80]} lacks an id and a name, or repeats one."
            )
        found[each["id"]] = each["name"]
    if not found:
        raise AnnotationError(f"{file}: there are no categories. {LAYOUT}.")
    return found


class _File:
    """Reader of one JSON file.

    Args:
        file: The file.
        names: Name of each category, by its id.

    Attributes:
        num_crowds: Number of boxes around crowds, which are left out, once all are read.
    """

    def __init__(self, file: Path, names: Mapping[Any, str]) -> None:
        self._file = file
        self._names = names
        self._codes = {category: code for code, category in enumerate(names)}
        self.num_crowds = 0
        self._pictures: dict[Any, _Picture] = {}
        for _, each in read_arrays(file, {_IMAGES}):
            self._add_picture(each)
        if not self._pictures:
            raise AnnotationError(f"{file}: there are no images. {LAYOUT}.")
        self._problems: dict[Any, str] = {}

    def find_folder(self) -> Path:
        """Find the folder that holds the first picture; else that of the file."""
        beside, above = self._file.parent, self._file.parent.parent
        last = self._file.stem.rpartition("_")[2]
        usual = (beside, beside / _IMAGES, above / _IMAGES, above / last, above)
        name = next(iter(self._pictures.values())).name
        return next((folder for folder in usual if (folder / name).is_file()), beside)

    def read(self, folder: Path, split: str | None) -> Iterator[Annotated]:
        """Read the pictures with their boxes, in the order of the pictures in the file."""
        places = {key: place for place, key in enumerate(self._pictures)}
        owners, codes, sides = array("q"), array("q"), array("d")
        for _, each in read_arrays(self._file, {_BOXES}):
            key = each.get("image_id") if isinstance(each, dict) else None
            if not _is_key(key) or key not in places:
                raise AnnotationError(
                    f"{self._file}: annotation {json.dumps(each)[:120]} is of image {key!r}, which "
                    "the file does not list."
                )
            box = self._read_box(key, each)
            if box is not None:
                owners.append(places[key])
                codes.append(box[0])
                sides.extend(box[1])
        order = sorted(range(len(owners)), key=owners.__getitem__)
        categories, at = list(self._names.values()), 0
        for key, picture in self._pictures.items():
            boxes = []
            while at < len(order) and owners[order[at]] == places[key]:
                row = order[at]
                left, top, width, height = sides[4 * row : 4 * row + 4]
                name = categories[codes[row]]
                boxes.append(Box(name, (left, top, left + width, top + height)))
                at += 1
            yield Annotated(
                str(folder / picture.name),
                f"{self._file.name}, image {key}",
                picture.size,
                tuple(boxes),
                split,
                self._problems.get(key),
            )

    def _add_picture(self, each: Any) -> None:
        key = each.get("id") if isinstance(each, dict) else None
        name = each.get("file_name") if isinstance(each, dict) else None
        if not _is_key(key) or not isinstance(name, str) or not name or key in self._pictures:
            raise AnnotationError(
                f"{self._file}: image {json.dumps(each)[:120]} lacks an id and a file_name, or its "
                "id is repeated."
            )
        width, height = each.get("width"), each.get("height")
        is_sized = _are_numbers((width, height)) and width > 0 and height > 0
        self._pictures[key] = _Picture(name, (width, height) if is_sized else None)

    def _read_box(self, key: Any, each: Mapping[str, Any]) -> tuple[int, Sequence[float]] | None:
        """Read the category and the box of an annotation; None if it is left out or unusable."""
        if each.get("iscrowd"):
            self.num_crowds += 1
            return None
        number, category, box = each.get("id"), each.get("category_id"), each.get("bbox")
        if not _is_key(category) or category not in self._codes:
            problem = f"is of category {category!r}, which the file does not list"
        elif not isinstance(box, list) or len(box) != _NUM_SIDES or not _are_numbers(box):
            problem = f"has bbox {json.dumps(box)[:60]}; expected x, y, width and height"
        else:
            return self._codes[category], box
        self._problems.setdefault(key, f"annotation {number} {problem}")
        return None


def _is_key(value: Any) -> bool:
    return isinstance(value, int | str)


def _are_numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(each, int | float) and not isinstance(each, bool) for each in values)
