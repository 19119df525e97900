"""Reader of class folders, with or without split folders above them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kft.config import DataConfig, FoldersConfig
from kft.data.class_names import find_class_name, find_similar, format_aliases
from kft.data.found import Found, sort_class_names
from kft.data.sources.class_layouts import (
    LAYOUT,
    count_deeper,
    refuse_empty,
    refuse_loose,
    refuse_one_class,
    refuse_parts,
    refuse_unlabelled,
)
from kft.data.sources.split_folders import find_split_folders, ignore_beside, list_subfolders
from kft.data.sources.walking import Walker
from kft.errors import DataError
from kft.examples import Examples, Files, SplitName
from kft.modalities import Modality, choose_modality
from kft.printing import listed, readable
from kft.tasks import Task, find_task
from kft.tasks.guessing import parse_fields
from kft.tasks.vectors import Names


@dataclass(frozen=True)
class _Part:
    """Class folders of one split, or of all the data.

    Attributes:
        split: Split of these folders; None if there are no split folders.
        folder: Folder that holds the class folders.
        classes: Class folder -> paths of its examples.
    """

    split: SplitName | None
    folder: Path
    classes: Mapping[str, Sequence[str]]


def find_folder(
    config: DataConfig, output_folders: Sequence[str] = (), *, is_other: bool = False
) -> Found:
    """Find the examples below class folders, each labelled with the name of its folder.

    Every file is counted: as an example, as quarantined, or as ignored with a reason.

    Args:
        config: The `data` section.
        output_folders: Folders that kft will write to, which are not classes.
        is_other: Whether the examples are only judged, not learned from. One class is then
            enough, and the caller compares the classes with those of the model.

    Raises:
        DataError: The folder is missing or has another layout, a split folder
            is ambiguous, a class has no example, or a split has a class that
            train lacks.
    """
    task = find_task(config.target)
    if task is not None and not task.reads_names(1):
        raise DataError(
            f"data.target: {config.target!r}, but class folders hold classes. Give labels and "
            "numbers in a table: a CSV file with a column for each."
        )
    root = Path(config.path or "").expanduser().absolute()
    if not root.is_dir():
        raise DataError(f"data.path: there is no folder {root}. {LAYOUT}.")
    walker = Walker(root, choose_modality(config), config.folders.allowed_roots, output_folders)
    split_folders = find_split_folders(root, config.folders, needs_train=not is_other)
    folders: Sequence[tuple[SplitName | None, Path]] = [(None, root)]
    if split_folders is not None:
        folders = list(split_folders.items())
        for _, folder in folders:
            walker.refuse_outside(folder)
        ignore_beside(root, split_folders.values(), walker)
    parts = [_Part(split, folder, _read_classes(root, folder, walker)) for split, folder in folders]
    _refuse_other_layouts(root, parts, config.folders, walker.modality)
    if not is_other:
        if len(parts[0].classes) < 2:
            refuse_one_class(root, parts[0].folder, *parts[0].classes)
        _refuse_unknown_classes(parts, config.class_aliases)
    return _to_found(root, parts, walker, task)


def _read_classes(root: Path, folder: Path, walker: Walker) -> dict[str, list[str]]:
    """Class folder -> paths of its examples."""
    classes: dict[str, list[str]] = {}
    for subfolder in list_subfolders(folder):
        if readable(subfolder.name) != subfolder.name:
            raise DataError(
                f"{folder}: the name of class folder {readable(subfolder.name)} is not UTF-8, so "
                "tables and models cannot hold it. Rename the folder."
            )
        classes[subfolder.name] = []
    start = len(str(folder).rstrip("/")) + 1
    for path in walker.walk(folder):
        name, separator, _ = path[start:].partition("/")
        if separator:
            classes[name].append(path)
        else:
            walker.ignored[f"{walker.modality.noun} beside the class folders"] += 1
    empty = [name for name, paths in classes.items() if not paths]
    for name in [name for name in empty if walker.is_output(str(folder / name))]:
        empty.remove(name)
        del classes[name]
    if not classes:
        refuse_loose(folder, walker.modality)
    refuse_unlabelled(root, folder, classes)
    refuse_empty(root, folder, empty, walker)
    return classes


def _refuse_other_layouts(
    root: Path, parts: Sequence[_Part], config: FoldersConfig, modality: Modality
) -> None:
    """Refuse folders that are probably not classes."""
    for part in parts:
        if config.nested == "auto":
            refuse_parts(root, part.folder, part.classes, modality.nouns)


def _refuse_unknown_classes(parts: Sequence[_Part], aliases: Mapping[str, str]) -> None:
    def name_classes(part: _Part) -> set[str]:
        return {find_class_name(label, aliases) for label in part.classes}

    train, *others = parts
    trained = name_classes(train)
    for part in others:
        unknown = sort_class_names(name_classes(part) - trained)
        if unknown:
            raise DataError(
                f"{part.folder}: class {listed(unknown)} is not in {train.folder}, so it "
                f"cannot be learned. Rename or remove the folder, or add it to training"
                f"{_name_similar(unknown, trained)}. "
                f"Classes of training: {listed(sort_class_names(trained), 20)}."
            )


def _name_similar(unknown: Sequence[str], trained: Iterable[str]) -> str:
    """Suggest aliases for classes whose names resemble training classes; empty if none do."""
    aliases = find_similar(unknown, trained)
    return f", or join them: {format_aliases(aliases)}" if aliases else ""


def _to_found(root: Path, parts: Sequence[_Part], walker: Walker, task: Task | None) -> Found:
    class_names = sort_class_names(name for part in parts for name in part.classes)
    paths: list[str] = []
    codes: list[int] = []
    splits: list[SplitName | None] = []
    noticed: Counter[str] = Counter()
    for part in parts:
        noticed += count_deeper(part.folder, part.classes)
        before = len(paths)
        for index, name in enumerate(class_names):
            # Validation and holdout may lack a class of train.
            inside = part.classes.get(name, ())
            paths += inside
            codes += [index] * len(inside)
        count = len(paths) - before
        splits += [part.split] * count
        if part.folder.parent not in (root, root.parent):
            where = part.folder.relative_to(root).as_posix()
            noticed[f"in {where}, taken for {part.split}"] = count
    start = len(str(root).rstrip("/")) + 1
    targets = parse_fields(Names(class_names, np.asarray(codes, dtype=np.int64)), task)
    examples = Examples(
        ids=tuple(path[start:] for path in paths),
        inputs=Files(tuple(paths)),
        targets=targets.values,
    )
    given = tuple(split for split in splits if split is not None)
    return Found(
        examples,
        given or None,
        targets.task,
        targets.names,
        f"folder {root}",
        dict(walker.ignored),
        quarantined=tuple(walker.quarantined),
        noticed=noticed,
    )
