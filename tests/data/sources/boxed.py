"""Small data sets of boxes in each layout, written for tests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (40, 20)


def write_picture(path: Path, size: tuple[int, int] = SIZE, orientation: int = 1) -> Path:
    """Write a grey picture, whose EXIF entry states an orientation."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(np.full((size[1], size[0], 3), 128, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, **({"exif": exif} if path.suffix == ".jpg" else {}))
    return path


def voc_xml(boxes, *, size=SIZE, filename="a.jpg", extra="") -> str:
    """Write annotations in XML."""
    objects = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax>"
        f"<ymax>{d}</ymax></bndbox></object>"
        for name, a, b, c, d in boxes
    )
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return f"<annotation><filename>{filename}</filename>{stated}{objects}{extra}</annotation>"


def write_voc(root: Path, examples: dict[str, str], lists: dict[str, list[str]] | None = None):
    """Write a folder in the layout of Pascal VOC: name -> XML, and lists of names by split."""
    for name, xml in examples.items():
        write_picture(root / "JPEGImages" / f"{name}.jpg")
        (root / "Annotations").mkdir(parents=True, exist_ok=True)
        (root / "Annotations" / f"{name}.xml").write_text(xml, encoding="utf-8")
    for split, names in (lists or {}).items():
        (root / "ImageSets" / "Main").mkdir(parents=True, exist_ok=True)
        (root / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


def coco_document(boxes, *, names=("a.jpg", "b.jpg"), classes=("cat", "dog")) -> dict:
    """Make a document in the form of COCO; boxes are (image id, category id, x, y, w, h)."""
    return {
        "info": {"year": 2020},
        "images": [
            {"id": place, "file_name": name, "width": SIZE[0], "height": SIZE[1]}
            for place, name in enumerate(names, 1)
        ],
        "annotations": [
            {"id": place, "image_id": image, "category_id": category, "bbox": sides, "iscrowd": 0}
            for place, (image, category, *sides) in enumerate(boxes, 1)
        ],
        "categories": [{"id": place, "name": name} for place, name in enumerate(classes, 1)],
    }


def write_coco(root: Path, document) -> Path:
    """Write a document and its pictures."""
    for each in document["images"]:
        if isinstance(each, dict) and "file_name" in each:
            write_picture(root / each["file_name"])
    file = root / "boxes.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    return file


def write_yolo(root: Path, labels: dict[str, str | None], yaml: str | None = None) -> Path:
    """Write a folder in the layout of YOLO: name -> lines, or None for no file."""
    for name, lines in labels.items():
        write_picture(root / "images" / "train" / f"{name}.jpg")
        if lines is not None:
            (root / "labels" / "train").mkdir(parents=True, exist_ok=True)
            (root / "labels" / "train" / f"{name}.txt").write_text(lines)
    text = "train: images/train\nnames: [cat, dog]\n" if yaml is None else yaml
    (root / "data.yaml").write_text(text)
    return root
