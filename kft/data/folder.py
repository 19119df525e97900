"""Class folders, with or without split folders above them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kft.config.schema import DataConfig, FoldersConfig
from kft.data.found import IMAGE_ENDINGS, SPLIT_WORDS, Found, find_split, listed
from kft.data.splits import SPLIT_NAMES, Examples, SplitName
from kft.errors import DataError
from kft.registry import suggest

_LAYOUT = "Expected FOLDER/<class>/<picture>, or FOLDER/train/<class>/<picture>"
_SYSTEM_NAMES = ("__macosx", "thumbs.db", "desktop.ini", "@eadir")


def find_folder(config: DataConfig) -> Found:
    """The pictures below class folders, each labelled with its folder's name.

    Raises:
        DataError: The folder is missing or laid out otherwise, a split folder
            is ambiguous, or the classes of two splits differ.
    """
    if config.target not in ("auto", "class"):
        raise DataError(
            f"data.target: {config.target!r}, but class folders hold classes. Labels and numbers "
            "come from a table: a CSV file with a column for each."
        )
    root = Path(config.path or "").expanduser().absolute()
    if not root.is_dir():
        raise DataError(f"data.path: there is no folder {root}. {_LAYOUT}.")
    ignored: Counter[str] = Counter()
    split_folders = _find_split_folders(root, config.folders)
    if split_folders is None:
        classes = _read_classes(root, root, ignored)
        return _to_found(root, [(None, classes)], ignored)
    for folder in _subfolders(root):
        if folder not in split_folders.values():
            reason = f"in folder {folder.name!r}, which is no split"
            ignored[reason] += sum(1 for _ in _walk(folder))
    parts: list[tuple[SplitName | None, dict[str, list[Path]]]] = [
        (split, _read_classes(root, folder, ignored)) for split, folder in split_folders.items()
    ]
    _refuse_differing_classes(root, split_folders, parts)
    return _to_found(root, parts, ignored)


def _is_hidden(name: str) -> bool:
    """Whether a name belongs to the system, not to the data."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def _subfolders(folder: Path) -> list[Path]:
    return sorted(
        (p for p in folder.iterdir() if p.is_dir() and not _is_hidden(p.name)),
        key=lambda p: p.name,
    )


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


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below `folder`, by way of links too, each real folder once."""
    seen: set[str] = set()
    for parent, subfolders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        subfolders.sort()
        for name in sorted(files):
            yield Path(parent, name)


def _read_classes(root: Path, folder: Path, ignored: Counter[str]) -> dict[str, list[Path]]:
    """Class name -> its pictures, counting every other file in `ignored`."""
    classes: dict[str, list[Path]] = {subfolder.name: [] for subfolder in _subfolders(folder)}
    loose = [p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in IMAGE_ENDINGS]
    if not classes:
        found = f"{len(loose)} pictures but no class folders" if loose else "no class folders"
        raise DataError(f"{folder} holds {found}. {_LAYOUT}.")
    for path in _walk(folder):
        relative = path.relative_to(folder)
        if any(_is_hidden(part) for part in relative.parts):
            ignored["hidden or system file"] += 1
        elif path.suffix.lower() not in IMAGE_ENDINGS:
            ignored[f"ending {path.suffix.lower() or '(none)'}"] += 1
        elif len(relative.parts) == 1:
            ignored["picture beside the class folders"] += 1
        else:
            classes[relative.parts[0]].append(path)
    empty = [name for name, paths in classes.items() if not paths]
    if empty:
        raise DataError(
            f"{folder}: no pictures in {'class folder' if len(empty) == 1 else 'class folders'} "
            f"{listed(empty)}. Add pictures ({', '.join(IMAGE_ENDINGS)}) or remove the folder."
        )
    return classes


def _refuse_differing_classes(
    root: Path,
    folders: dict[SplitName, Path],
    parts: list[tuple[SplitName | None, dict[str, list[Path]]]],
) -> None:
    trained = set(parts[0][1])
    for split, classes in parts[1:]:
        assert split is not None
        unknown, missing = sorted(set(classes) - trained), sorted(trained - set(classes))
        if unknown:
            raise DataError(
                f"{folders[split]}: class {listed(unknown)} is not in {folders['train']}, so it "
                f"could never be learned. Rename or remove the folder, or add it to training. "
                f"Classes of training: {listed(sorted(trained), 20)}."
            )
        if missing:
            raise DataError(
                f"{folders[split]}: class {listed(missing)} of {folders['train']} is missing, so "
                f"it could not be judged. Add pictures of it, or move {folders[split].name} out "
                f"of {root} to have the {split} split taken from training."
            )


def _to_found(
    root: Path,
    parts: list[tuple[SplitName | None, dict[str, list[Path]]]],
    ignored: Counter[str],
) -> Found:
    class_names = tuple(sorted(parts[0][1]))
    if len(class_names) < 2:
        raise DataError(
            f"{root} has one class folder, {class_names[0]!r}; telling classes apart needs at "
            f"least two. {_LAYOUT}."
        )
    paths: list[Path] = []
    targets: list[int] = []
    splits: list[SplitName | None] = []
    for split, classes in parts:
        for index, name in enumerate(class_names):
            paths += classes[name]
            targets += [index] * len(classes[name])
            splits += [split] * len(classes[name])
    examples = Examples(
        ids=tuple(p.relative_to(root).as_posix() for p in paths),
        paths=tuple(str(p) for p in paths),
        targets=np.asarray(targets, dtype=np.int64),
    )
    given = tuple(split for split in splits if split is not None)
    return Found(examples, given or None, "class", class_names, f"folder {root}", dict(ignored))
