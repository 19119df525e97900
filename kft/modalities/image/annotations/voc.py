"""Pascal VOC: an XML file for each picture, and lists of names for the splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from kft.modalities.annotated import Annotated, AnnotationError, Annotations, Box
from kft.modalities.image.annotations.files import choose_picture, list_pictures

_XML, _PICTURES, _LISTS = "Annotations", "JPEGImages", "ImageSets/Main"
LAYOUT = (
    f"Expected {_XML}/NAME.xml for each picture, the pictures in {_PICTURES}/ or beside the XML "
    f"files, and optionally {_LISTS}/train.txt, val.txt and test.txt with a name on each line"
)
# This list repeats the two of its name.
_BOTH = "trainval"
_SIDES = ("xmin", "ymin", "xmax", "ymax")


def is_voc(path: Path) -> bool:
    """Tell whether a path is a folder in the layout of Pascal VOC."""
    return any((path / _XML).glob("*.xml"))


def read_voc(path: Path, folder: Path | None) -> Annotations:
    """Read a folder in the layout of Pascal VOC.

    Sides are used as they are written: some programs count pixels from 0 and others from 1, which
    no file states.

    Args:
        path: Folder with `Annotations`.
        folder: Folder of the pictures; None for the usual one.

    Raises:
        AnnotationError: The folder has another layout, or two lists hold the same name.
    """
    if not is_voc(path):
        raise AnnotationError(f"{path}: there is no {_XML}/*.xml. {LAYOUT}.")
    usual = path / _PICTURES
    pictures = folder or (usual if usual.is_dir() else path / _XML)
    splits = _read_lists(path / _LISTS)

    def read() -> Iterator[Annotated]:
        files = {file.stem: file for file in sorted((path / _XML).glob("*.xml"))}
        existing = list_pictures(pictures)
        for name in splits or files:
            file, split = files.get(name), splits.get(name)
            if file is not None:
                yield _read_file(file, pictures, existing, split)
            else:
                problem = f"listed in {_LISTS}/{split}.txt, but there is no {_XML}/{name}.xml"
                yield _without_boxes(existing.get(name, pictures / name), problem, split)
        found.ignored["in no list of a split"] = len(files.keys() - splits.keys()) if splits else 0
        found.ignored["picture without an XML file"] = len(existing.keys() - files.keys())

    found = Annotations(path, read)
    return found


def _without_boxes(file: Path, problem: str, split: str | None) -> Annotated:
    return Annotated(str(file), file.name, None, (), split, problem)


def _read_lists(folder: Path) -> Mapping[str, str]:
    """Map each name to the word of its split; empty without lists."""
    # Lists of one class, such as cat_train.txt, repeat the names of train.txt.
    files = {file.stem: file for file in sorted(folder.glob("*.txt")) if "_" not in file.stem}
    if len(files) > 1:
        files.pop(_BOTH, None)
    splits: dict[str, str] = {}
    for word, file in files.items():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if not line.strip():
                continue
            name = line.split()[0]
            if splits.setdefault(name, word) != word:
                raise AnnotationError(
                    f"{file}: {name!r} is in {splits[name]}.txt too, so two splits share a "
                    "picture. Remove it from one of the lists."
                )
    return {name: word.replace(_BOTH, "train") for name, word in splits.items()}


def _read_file(
    file: Path, pictures: Path, existing: Mapping[str, Path], split: str | None
) -> Annotated:
    """Read one XML file; what is wrong with it becomes the problem of its picture."""
    place = f"{_XML}/{file.name}"
    try:
        content = file.read_bytes()
        # Entities may expand to gigabytes.
        if b"<!DOCTYPE" in content:
            raise ValueError("it declares a document type, which annotations do not need")
        root = ElementTree.fromstring(content)
        if root.tag != "annotation":
            raise ValueError(f"its root is <{root.tag}>; expected <annotation>")
        stated = root.findtext("filename", "").strip()
        picture = choose_picture(pictures, existing, file.stem, stated)
        boxes = tuple(
            _read_object(number, each) for number, each in enumerate(root.iterfind("object"), 1)
        )
        return Annotated(str(picture), place, _read_size(root), boxes, split)
    except (OSError, ValueError, ElementTree.ParseError) as error:
        return _without_boxes(
            existing.get(file.stem, pictures / file.stem), f"{place}: {error}", split
        )


def _read_size(root: ElementTree.Element) -> tuple[float, float] | None:
    """Read the stated size; None if it is missing or, as some programs write it, zero."""
    texts = [root.findtext(f"size/{side}", "0") for side in ("width", "height")]
    try:
        width, height = map(float, texts)
    except ValueError:
        raise ValueError(f"its size is {' x '.join(texts)}, not two numbers") from None
    return (width, height) if width and height else None


def _read_object(number: int, element: ElementTree.Element) -> Box:
    name = (element.findtext("name") or "").strip()
    if not name:
        raise ValueError(f"object {number} has no name")
    texts = [element.findtext(f"bndbox/{side}", "").strip() for side in _SIDES]
    try:
        left, top, right, bottom = map(float, texts)
    except ValueError:
        given = ", ".join(
            f"{side} {text or 'missing'}" for side, text in zip(_SIDES, texts, strict=True)
        )
        raise ValueError(f"object {number} ({name}): {given}; expected four numbers") from None
    return Box(name, (left, top, right, bottom))
