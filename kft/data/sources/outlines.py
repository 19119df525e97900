"""Reader of files with the outlines of objects, which become masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kft.config import DataConfig
from kft.data.found import Found
from kft.data.paths import PathFinder
from kft.data.refusing import refuse_bad
from kft.errors import DataError
from kft.examples import Examples, Files, Quarantined
from kft.modalities import choose_modality
from kft.modalities.annotated import AnnotationError
from kft.printing import readable
from kft.tasks import find_task, load_task


def find_outlines(config: DataConfig) -> Found:
    """Find the examples of a COCO file, with a mask drawn from the outlines of each.

    Raises:
        DataError: The file has another form, classes are named elsewhere, or examples cannot be
            used: all of them, or any if `data.on_invalid_file` is `stop`.
    """
    path = Path(config.path or "").expanduser().absolute()
    if config.masks.class_names or config.masks.colours or config.masks.binary:
        raise DataError(
            f"data.masks: {path} names the classes itself, and what no outline covers is the "
            "first. Remove class_names, colours and binary."
        )
    modality = choose_modality(config)
    try:
        names, outlined = modality.read_outlines(path)
    except AnnotationError as error:
        raise DataError(str(error)) from None
    folder = _find_folder(path, config.masks.folder, outlined[0].name, modality.folder_names)
    finder = PathFinder(folder, config.folders.allowed_roots)
    paths: dict[str, tuple[str, str]] = {}
    quarantined: list[Quarantined] = []
    for each in outlined:
        example_id, file = finder.locate(each.name)
        problem = each.problem or finder.find_problem(file)
        if problem is None and example_id in paths:
            problem = "listed already"
        if problem is None and each.mask is not None:
            paths[example_id] = (file, each.mask)
        else:
            quarantined.append(Quarantined(readable(example_id), readable(file), str(problem)))
    refuse_bad(
        quarantined,
        len(outlined),
        on_invalid_file=config.on_invalid_file,
        source=str(path),
        what=modality.nouns,
    )
    return Found(
        Examples(
            ids=tuple(paths),
            inputs=Files(tuple(file for file, _ in paths.values())),
            targets=np.zeros((len(paths), len(names)), np.int64),
            target_files=Files(tuple(mask for _, mask in paths.values())),
        ),
        None,
        find_task(config.target) or load_task("segmentation"),
        names,
        f"outlines {path}",
        quarantined=tuple(quarantined),
    )


def _find_folder(path: Path, named: str | None, first: str, usual: tuple[str, ...]) -> Path:
    """Find the folder of the examples: as set, or where the first of them is."""
    if named is not None:
        folder = path.parent / Path(named).expanduser()
        if not folder.is_dir():
            raise DataError(f"data.masks.folder: {folder} is not a folder.")
        return folder
    above = path.parent.parent
    places = [path.parent, *(base / name for base in (path.parent, above) for name in usual), above]
    return next((place for place in places if (place / first).is_file()), path.parent)
