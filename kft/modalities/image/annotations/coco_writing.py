"""Writer of splits in the form of COCO."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kft.errors import DataError
from kft.examples import SPLIT_NAMES, Examples, Files, Splits
from kft.modalities import load_modality
from kft.runs.atomic import write_text
from kft.tasks import BOXES


def write_coco(splits: Splits, folder: Path) -> list[Path]:
    """Write annotations/SPLIT.json for each split that has examples.

    `file_name` is the name of the example in its data set: kft reads the files with
    `data.boxes.folder` set to the folder that the names start from.

    Args:
        splits: Splits whose targets are boxes.
        folder: Folder to write into; it is made.

    Returns:
        The files.

    Raises:
        DataError: The targets are not boxes, or the size of a picture cannot be read.
    """
    if splits.task.companion != BOXES:
        raise DataError(f"--write-coco: the targets are {splits.task.nouns}, not boxes.")
    written = []
    for name in SPLIT_NAMES:
        examples = splits.get(name)
        if len(examples):
            path = folder / "annotations" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(_describe(examples, splits.class_names)))
            written.append(path)
    return written


def _describe(examples: Examples, names: Sequence[str]) -> dict[str, Any]:
    """Make the document of one split."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    assert isinstance(examples.inputs, Files), "boxes are around objects in files"
    modality = load_modality("image")
    rows = zip(examples.ids, examples.inputs.paths, examples.targets, strict=True)
    for key, (name, path, target) in enumerate(rows, 1):
        size = modality.find_size(path)
        if size is None:
            raise DataError(f"{path}: its size cannot be read.")
        images.append({"id": key, "file_name": name, "width": size[0], "height": size[1]})
        scale = np.array([*size, *size])
        for row in target[target[:, 0] >= 0].astype(np.float64):
            # The rounding of float32 is far below a thousandth of a pixel.
            left, top, right, bottom = np.round(row[1:] * scale, 3).tolist()
            sides = [left, top, round(right - left, 3), round(bottom - top, 3)]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": key,
                    "category_id": int(row[0]) + 1,
                    "bbox": sides,
                    "area": sides[2] * sides[3],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": place, "name": name} for place, name in enumerate(names, 1)]
    return {"images": images, "annotations": annotations, "categories": categories}
