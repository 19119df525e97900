"""Class folders, with or without split folders above them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from kft.config.schema import DataConfig, FoldersConfig
from kft.data.found import IMAGE_ENDINGS, SPLIT_WORDS, Found, find_split, listed, readable
from kft.data.refusing import list_bad
from kft.data.sources.walking import Walker, count_files, describe_ending, find_hidden
from kft.data.splits import SPLIT_NAMES, Examples, SplitName
from kft.errors import DataError
from kft.registry import suggest

_LAYOUT = "Expected FOLDER/<class>/<picture>, or FOLDER/train/<class>/<picture>"
Classes = dict[str, list[str]]


def find_folder(config: DataConfig) -> Found:
    """The pictures below class folders, each labelled with its folder's name.

    Every file is accounted for: an example, quarantined, or ignored for a reason.

    Raises:
        DataError: The folder is missing or laid out otherwise, a split folder
            is ambiguous, a class has no picture, or a split has a class that
            train lacks.
    """
    if config.target not in ("auto", "class"):
        raise DataError(
            f"data.target: {config.target!r}, but class folders hold classes. Labels and numbers "
            "come from a table: a CSV file with a column for each."
        )
    root = Path(config.path or "").expanduser().absolute()
    if not root.is_dir():
        raise DataError(f"data.path: there is no folder {root}. {_LAYOUT}.")
    walker = Walker(root, config.folders.outside)
    split_folders = _find_split_folders(root, config.folders)
    if split_folders is None:
        return _to_found(root, [(None, _read_classes(root, root, walker))], walker)
    for folder in split_folders.values():
        walker.refuse_outside(folder)
    _ignore_beside(root, split_folders, walker)
    parts: list[tuple[SplitName | None, Classes]] = [
        (split, _read_classes(root, folder, walker)) for split, folder in split_folders.items()
    ]
    _refuse_unknown_classes(split_folders, parts)
    return _to_found(root, parts, walker)


def _ignore_beside(root: Path, split_folders: dict[SplitName, Path], walker: Walker) -> None:
    """Count what lies beside the split folders."""
    for entry in os.scandir(root):
        hidden = find_hidden(entry.name)
        if Path(entry.path) in split_folders.values():
            continue
        if hidden is not None:
            walker.ignored[hidden] += count_files(entry)
        elif entry.is_dir():
            reason = f"in folder {entry.name!r}, which is no split"
            walker.ignored[reason] += count_files(entry)
        elif walker.is_picture(entry):
            walker.ignored["picture beside the split folders"] += 1
        else:
            walker.ignored[describe_ending(entry.name)] += 1


def _subfolders(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir(), key=lambda p: p.name)
    except OSError as error:
        raise DataError(f"{folder}: this folder cannot be read: {error.strerror}") from None
    return [p for p in inside if p.is_dir() and find_hidden(p.name) is None]


def _find_split_folders(root: Path, config: FoldersConfig) -> dict[SplitName, Path] | None:
    """Split -> its folder; None where class folders lie directly in `root`."""
    folders = {p.name: p for p in _subfolders(root)}
    chosen: dict[SplitName, Path] = {}
    for split in SPLIT_NAMES:
        name = getattr(config, split)
        if name is not None:
            if name not in folders:
                raise DataError(
                    f"data.folders.{split}: {root} has no folder {name!r}. {suggest(name, folders)}"
                )
            chosen[split] = folders[name]
    _refuse_shared_folders(chosen)
    free = [p for p in folders.values() if p not in chosen.values()]
    for split in SPLIT_NAMES:
        if split not in chosen:
            usual = [p for p in free if find_split(p.name) == split and _subfolders(p)]
            if len(usual) > 1:
                names = [p.name for p in usual]
                raise DataError(
                    f"{root}: {listed(names)} may each be the {split} split. "
                    f"Say which with data.folders.{split}={names[0]}."
                )
            chosen.update((split, p) for p in usual)
    if not chosen:
        return None
    if "train" not in chosen:
        names = [p.name for p in chosen.values()]
        raise DataError(
            f"{root}: there are split folders ({listed(names)}) but none for training. "
            f"Usual names: {', '.join(SPLIT_WORDS['train'])}; or say data.folders.train=NAME."
        )
    return {split: chosen[split] for split in SPLIT_NAMES if split in chosen}


def _refuse_shared_folders(chosen: dict[SplitName, Path]) -> None:
    for folder in chosen.values():
        splits = [split for split, other in chosen.items() if other == folder]
        if len(splits) > 1:
            raise DataError(
                f"data.folders: {folder.name!r} is given for {' and '.join(splits)}; "
                "each split needs a folder of its own."
            )


def _read_classes(root: Path, folder: Path, walker: Walker) -> Classes:
    """Class name -> paths of its pictures."""
    classes: Classes = {}
    for subfolder in _subfolders(folder):
        if readable(subfolder.name) != subfolder.name:
            raise DataError(
                f"{folder}: the name of class folder {readable(subfolder.name)} is not UTF-8, so "
                "that no table or model can hold it. Rename the folder."
            )
        classes[subfolder.name] = []
    if not classes:
        loose = sum(p.suffix.lower() in IMAGE_ENDINGS for p in folder.iterdir())
        found = f"{loose} pictures but no class folders" if loose else "no class folders"
        raise DataError(f"{folder} holds {found}. {_LAYOUT}.")
    start = len(str(folder).rstrip("/")) + 1
    for path in walker.walk(folder):
        name, separator, _ = path[start:].partition("/")
        if separator:
            classes[name].append(path)
        else:
            walker.ignored["picture beside the class folders"] += 1
    _refuse_empty_classes(root, folder, classes, walker)
    return classes


def _refuse_empty_classes(root: Path, folder: Path, classes: Classes, walker: Walker) -> None:
    empty = [name for name, paths in classes.items() if not paths]
    if not empty:
        return
    starts = tuple(f"{(folder / name).relative_to(root).as_posix()}" for name in empty)
    bad = [
        each
        for each in walker.quarantined
        if each.name.startswith(tuple(f"{start}/" for start in starts)) or each.name in starts
    ]
    why = f" Of these cannot be used:\n{list_bad(bad)}" if bad else ""
    raise DataError(
        f"{folder}: no pictures in {'class folder' if len(empty) == 1 else 'class folders'} "
        f"{listed(empty)}. Add pictures ({', '.join(IMAGE_ENDINGS[:5])} …) or remove the "
        f"folder.{why}"
    )


def _refuse_unknown_classes(
    folders: dict[SplitName, Path], parts: list[tuple[SplitName | None, Classes]]
) -> None:
    trained = set(parts[0][1])
    for split, classes in parts[1:]:
        assert split is not None
        unknown = sorted(set(classes) - trained)
        if unknown:
            raise DataError(
                f"{folders[split]}: class {listed(unknown)} is not in {folders['train']}, so it "
                f"could never be learned. Rename or remove the folder, or add it to training. "
                f"Classes of training: {listed(sorted(trained), 20)}."
            )


def _to_found(
    root: Path,
    parts: list[tuple[SplitName | None, Classes]],
    walker: Walker,
) -> Found:
    class_names = tuple(sorted(parts[0][1]))
    if len(class_names) < 2:
        raise DataError(
            f"{root} has one class folder, {class_names[0]!r}; telling classes apart needs at "
            f"least two. {_LAYOUT}."
        )
    paths: list[str] = []
    targets: list[int] = []
    splits: list[SplitName | None] = []
    for split, classes in parts:
        for index, name in enumerate(class_names):
            # A split that is judged may lack a class of train.
            inside = classes.get(name, [])
            paths += inside
            targets += [index] * len(inside)
            splits += [split] * len(inside)
    start = len(str(root).rstrip("/")) + 1
    examples = Examples(
        ids=tuple(path[start:] for path in paths),
        paths=tuple(paths),
        targets=np.asarray(targets, dtype=np.int64),
    )
    given = tuple(split for split in splits if split is not None)
    return Found(
        examples,
        given or None,
        "class",
        class_names,
        f"folder {root}",
        dict(walker.ignored),
        quarantined=tuple(walker.quarantined),
    )
