"""Split folders above the class folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from kft.config import FoldersConfig
from kft.data.found import SPLIT_WORDS, find_split
from kft.data.sources.walking import OWN, Walker, count_files, describe_ending, find_hidden
from kft.errors import DataError
from kft.examples import SPLIT_NAMES, SplitName
from kft.printing import listed
from kft.registry import suggest
from kft.runs.own_folders import is_own_folder


def list_subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder that may hold data, sorted by name.

    Raises:
        DataError: The folder cannot be read.
    """
    try:
        inside = sorted(folder.iterdir(), key=lambda p: p.name)
    except OSError as error:
        raise DataError(f"{folder}: this folder cannot be read: {error.strerror}") from None
    return [
        p for p in inside if p.is_dir() and not find_hidden(p.name) and not is_own_folder(str(p))
    ]


def find_split_folders(
    root: Path, config: FoldersConfig, *, needs_train: bool = True
) -> dict[SplitName, Path] | None:
    """Map each split to the folder that holds its class folders; None if `root` holds them.

    Args:
        root: Data folder.
        config: The `data.folders` section.
        needs_train: Whether a training split is required.

    Raises:
        DataError: A folder that `config` names is missing, one folder is given for two splits,
            or the split of a folder is ambiguous.
    """
    folders = {p.name: p for p in list_subfolders(root)}
    chosen: dict[SplitName, Path] = {}
    for split in SPLIT_NAMES:
        name = getattr(config, split)
        if name is not None:
            chosen[split] = _find_named(root, name, split, folders)
    _refuse_shared_folders(chosen)
    named = list(chosen.values())
    free = [p for p in folders.values() if not any(each.is_relative_to(p) for each in named)]
    for split in SPLIT_NAMES:
        if split not in chosen:
            usual = [p for p in free if find_split(p.name) == split and list_subfolders(p)]
            if len(usual) > 1:
                names = [p.name for p in usual]
                raise DataError(
                    f"{root}: each of {listed(names)} may be the {split} split. "
                    f"Choose one with data.folders.{split}={names[0]}."
                )
            chosen.update((split, _unwrap(p)) for p in usual)
    if not chosen:
        return None
    if needs_train and "train" not in chosen:
        names = [_name(root, p) for p in chosen.values()]
        raise DataError(
            f"{root}: there are split folders ({listed(names)}) but none for training. "
            f"Usual names: {', '.join(SPLIT_WORDS['train'])}; or set data.folders.train=NAME."
        )
    return {split: chosen[split] for split in SPLIT_NAMES if split in chosen}


def _find_named(root: Path, name: str, split: SplitName, folders: Iterable[str]) -> Path:
    """Return the folder of a split that a user names, in `root` or deeper."""
    path = Path(os.path.normpath(root / name))
    if not path.is_dir() or path == root or not path.is_relative_to(root):
        raise DataError(
            f"data.folders.{split}: {root} has no folder {name!r}. {suggest(name, folders)}"
        )
    return path


def _refuse_shared_folders(chosen: dict[SplitName, Path]) -> None:
    for folder in chosen.values():
        splits = [split for split, other in chosen.items() if other.is_relative_to(folder)]
        if len(splits) > 1:
            raise DataError(
                f"data.folders: {folder.name!r} is given for {' and '.join(splits)}; "
                "each split needs its own folder."
            )


def _unwrap(folder: Path) -> Path:
    """Return the only folder in a split folder if it is named after the split too.

    Archives are often packed this way: training_set/training_set/cats.
    """
    inside = list_subfolders(folder)
    if len(inside) == 1 and find_split(inside[0].name) == find_split(folder.name):
        return _unwrap(inside[0]) if list_subfolders(inside[0]) else folder
    return folder


def _name(root: Path, folder: Path) -> str:
    return folder.relative_to(root).as_posix()


def ignore_beside(folder: Path, chosen: Iterable[Path], walker: Walker) -> None:
    """Count the files and folders beside the split folders as ignored.

    Args:
        folder: Data folder, or a folder in it that holds split folders.
        chosen: Split folders.
        walker: Walker that holds the counts.
    """
    for entry in os.scandir(folder):
        hidden = find_hidden(entry.name)
        path = Path(entry.path)
        if path in chosen:
            continue
        if hidden is not None:
            walker.ignored[hidden] += count_files(entry)
        elif entry.is_dir() and any(other.is_relative_to(path) for other in chosen):
            ignore_beside(path, chosen, walker)
        elif entry.is_dir():
            own = is_own_folder(entry.path) or walker.is_output(entry.path)
            reason = OWN if own else f"in folder {entry.name!r}, which is not a split"
            walker.ignored[reason] += count_files(entry)
        elif walker.may_hold(entry):
            walker.ignored[f"{walker.modality.noun} beside the split folders"] += 1
        else:
            walker.ignored[describe_ending(entry.name, walker.modality)] += 1
