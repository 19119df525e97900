"""Files of pictures that annotations name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kft.modalities import load_modality


def list_pictures(folder: Path) -> dict[str, Path]:
    """List the files in a folder that may be pictures, by their names without ending.

    Of files that differ only in the ending, the first in alphabetical order is listed.
    """
    modality = load_modality("image")
    files = sorted(folder.iterdir(), reverse=True) if folder.is_dir() else ()
    return {file.stem: file for file in files if modality.has_ending(file.name)}


def choose_picture(folder: Path, pictures: Mapping[str, Path], stem: str, stated: str) -> Path:
    """Choose the picture of an annotation, whether or not it exists.

    Args:
        folder: Folder of the pictures.
        pictures: Pictures in the folder, from `list_pictures`.
        stem: Name of the annotation, without ending. It decides, because a stated name may be
            wrong, as after a renaming.
        stated: File name that the annotation states; may be empty.
    """
    return pictures.get(stem) or folder / (Path(stated).name or stem)
