"""YOLO: a text file for each picture, with a line for each box, and a YAML file that names all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kft.modalities.annotated import FRACTIONS, Annotated, AnnotationError, Annotations, Box
from kft.modalities.image.annotations.files import list_pictures

LAYOUT = (
    "Expected a data.yaml with `names` and, for each of `train`, `val` and `test`, a folder or a "
    "list of pictures; and labels/NAME.txt beside images/NAME.jpg, with `class x y width height` "
    "on each line"
)
_WORDS = ("train", "val", "test")
_PICTURES, _LABELS = "images", "labels"
_NUM_VALUES = 5
# Fractions are written with a few decimals, so a box at the edge may exceed it by their rounding.
_ROUNDING = 1e-3


def is_yolo(path: Path) -> bool:
    """Tell whether a path is a YAML file of this layout, or a folder that holds one."""
    return _find_yaml(path) is not None


def read_yolo(path: Path, folder: Path | None) -> Annotations:
    """Read a data set in the layout of YOLO.

    Args:
        path: YAML file, or a folder with exactly one.
        folder: Folder that the paths of the YAML file start from; None for its `path`, or else
            its own folder.

    Raises:
        AnnotationError: The YAML file is missing or incomplete, or a folder does not exist.
    """
    file = _find_yaml(path)
    if file is None:
        raise AnnotationError(f"{path}: no YAML file with `names`. {LAYOUT}.")
    stated = _read_yaml(file)
    names = _read_names(file, stated.get("names"))
    root = folder or (file.parent / str(stated.get("path") or ".")).resolve()
    parts = {
        word: [
            picture
            for each in _as_list(stated[word])
            for picture in _list_files(file, root / str(each))
        ]
        for word in _WORDS
        if stated.get(word)
    }
    if not parts:
        raise AnnotationError(f"{file}: names no folder for {', '.join(_WORDS)}. {LAYOUT}.")
    _refuse_shared(file, parts)

    def read() -> Iterator[Annotated]:
        for word, pictures in parts.items():
            for picture in pictures:
                yield _read_boxes(root, picture, word, names)

    return Annotations(root, read, names)


def _find_yaml(path: Path) -> Path | None:
    """Find the YAML file of a data set; None if there is none, or several."""
    if path.is_file():
        is_yaml = path.suffix.lower() in (".yaml", ".yml")
        return path if is_yaml and "names" in _read_yaml(path) else None
    found = [each for each in (*path.glob("*.yaml"), *path.glob("*.yml")) if _find_yaml(each)]
    return found[0] if len(found) == 1 else None


def _read_yaml(file: Path) -> Mapping[str, Any]:
    """Read the mapping in a YAML file.

    Raises:
        AnnotationError: The file is not YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        values = YAML(typ="safe", pure=True).load(file)
    except (OSError, UnicodeError, YAMLError) as error:
        reason = str(error).splitlines()[0]
        raise AnnotationError(f"{file}: cannot be read as YAML: {reason}.") from None
    return values if isinstance(values, dict) else {}


def _read_names(file: Path, stated: Any) -> tuple[str, ...]:
    """Read the names of the classes, which are a list, or a mapping from 0 on without gaps."""
    if isinstance(stated, dict) and sorted(stated) == list(range(len(stated))):
        stated = [stated[place] for place in range(len(stated))]
    is_list = isinstance(stated, list) and all(isinstance(each, str | int) for each in stated)
    names = tuple(map(str, stated)) if is_list else ()
    if not names or len(set(names)) < len(names):
        raise AnnotationError(
            f"{file}: `names` is {stated!r}; expected a list of distinct names, or a mapping from "
            "0, 1, 2 … to names."
        )
    return names


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _list_files(file: Path, path: Path) -> list[Path]:
    """List the pictures of a folder, or those that a text file lists."""
    path = Path(os.path.normpath(path))
    if path.is_dir():
        return sorted(list_pictures(path).values())
    if path.suffix == ".txt" and path.is_file():
        lines = path.read_text(encoding="utf-8").split("\n")
        return [path.parent / line.strip() for line in lines if line.strip()]
    raise AnnotationError(
        f"{file}: {path} is neither a folder nor a list of pictures. Paths start from `path` of "
        "the YAML file, or from data.boxes.folder."
    )


def _refuse_shared(file: Path, parts: Mapping[str, Sequence[Path]]) -> None:
    owner: dict[Path, str] = {}
    for word, pictures in parts.items():
        for picture in pictures:
            if owner.setdefault(picture, word) != word:
                raise AnnotationError(
                    f"{file}: {picture} is in {owner[picture]} and in {word}, so two splits share "
                    "a picture. Give each split its own folder."
                )


def find_label_file(root: Path, picture: Path) -> Path:
    """Return the place of a picture's boxes: `labels` in place of the last `images` of its path."""
    inside = picture.relative_to(root) if picture.is_relative_to(root) else picture
    parts = list(inside.parts)
    if _PICTURES in parts:
        place = len(parts) - 1 - parts[::-1].index(_PICTURES)
        parts[place] = _LABELS
    return root.joinpath(*parts).with_suffix(".txt")


def _read_boxes(root: Path, picture: Path, word: str, names: Sequence[str]) -> Annotated:
    """Read the boxes of a picture; a picture without a file, or with an empty one, has none."""
    file = find_label_file(root, picture)
    place = file.name
    try:
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else ()
        boxes = tuple(
            _read_line(line.split(), number, names)
            for number, line in enumerate(lines, 1)
            if line.strip()
        )
    except (OSError, ValueError) as error:
        return Annotated(str(picture), place, None, (), word, f"{place}: {error}")
    return Annotated(str(picture), place, FRACTIONS, boxes, word)


def _read_line(cells: Sequence[str], number: int, names: Sequence[str]) -> Box:
    if len(cells) != _NUM_VALUES:
        raise ValueError(
            f"line {number} has {len(cells)} values; a box has {_NUM_VALUES}: class, centre x, "
            "centre y, width, height"
        )
    try:
        which, (x, y, width, height) = int(cells[0]), map(float, cells[1:])
    except ValueError:
        raise ValueError(
            f"line {number} is {' '.join(cells)!r}; expected a whole number and four fractions"
        ) from None
    if not 0 <= which < len(names):
        raise ValueError(f"line {number} has class {which}, but `names` has {len(names)}")
    if max(x, y, width, height) > 1 + _ROUNDING:
        raise ValueError(
            f"line {number} has values above 1; expected fractions of width and height"
        )
    return Box(names[which], (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
