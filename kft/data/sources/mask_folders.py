"""Reader of folders of examples beside folders of masks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from kft.config import DataConfig
from kft.data.found import Found, find_split
from kft.data.refusing import refuse_bad
from kft.data.sources.mask_classes import find_class_names
from kft.data.sources.split_folders import list_subfolders
from kft.data.sources.walking import Walker
from kft.errors import DataError
from kft.examples import Examples, Files, Quarantined, SplitName
from kft.modalities import Modality, choose_modality
from kft.printing import listed, readable
from kft.tasks import Task, find_task, load_task

# Usual names of folders of masks, in lower case.
_MASK_FOLDERS = (
    *("masks", "mask", "labels", "label", "annotations", "annots", "annotation"),
    *("segmentationclass", "gt", "groundtruth", "ground_truth", "targets"),
)
# Ends of a folder's name that make it the folder of the masks of another, as in CamVid.
_FOLDER_ENDS = ("annot", "_annot", "_masks", "_mask", "_labels", "masks", "labels")
# Ends of a mask's name after that of its example.
_NAME_ENDS = ("", "_mask", "_masks", "_label", "_labels", "_gt", "_L", "_seg", "_segmentation")
_NAMED = 5


@dataclass(frozen=True)
class _Pair:
    """Folder of examples and that of their masks.

    Attributes:
        split: Split of the examples; None if folders do not say.
        examples: Folder of the examples.
        masks: Folder of the masks.
    """

    split: SplitName | None
    examples: Path
    masks: Path


def has_masks(root: Path, modality: Modality) -> bool:
    """Tell whether a folder holds examples beside their masks, rather than class folders."""
    return bool(_find_pairs(root, modality, None))


def find_masks(config: DataConfig, output_folders: Sequence[str] = ()) -> Found:
    """Find the examples of a folder, and the mask of each.

    `FOLDER/images` and `FOLDER/masks` hold files of the same names, below
    folders of splits or with such folders inside; or `FOLDER/train` stands
    beside `FOLDER/trainannot`, as in CamVid.

    Args:
        config: The `data` section.
        output_folders: Folders that kft will write to, which hold no examples.

    Raises:
        DataError: The folder is missing or has another layout, or the classes are unknown.
    """
    root = Path(config.path or "").expanduser().absolute()
    if not root.is_dir():
        raise DataError(f"data.path: there is no folder {root}.")
    modality = choose_modality(config)
    task = find_task(config.target) or load_task("segmentation")
    pairs = _find_pairs(root, modality, config.masks.folder)
    if not pairs:
        raise _layout_error(root, modality)
    names = find_class_names(config.masks, root)
    walker = Walker(root, modality, config.folders.allowed_roots, output_folders)
    paths: list[str] = []
    masks: list[str] = []
    splits: list[SplitName | None] = []
    quarantined: list[Quarantined] = []
    unused: dict[str, int] = {}
    for pair in pairs:
        found = list(walker.walk(pair.examples))
        index = _index_masks(pair.masks)
        used = set()
        for path in found:
            relative = os.path.relpath(path, pair.examples)
            match = _match(relative, index, config.masks.ending)
            if isinstance(match, str):
                paths.append(path)
                masks.append(str(pair.masks / match))
                splits.append(pair.split or _split_of(relative))
                used.add(match)
            else:
                name = os.path.relpath(path, root)
                quarantined.append(Quarantined(readable(name), readable(path), match.reason))
        lonely = sum(len(each) for each in index.values()) - len(used)
        if lonely:
            unused[f"mask in {pair.masks.name} without {modality.noun}"] = lonely
    refuse_bad(
        quarantined,
        len(paths) + len(quarantined),
        on_invalid_file=config.on_invalid_file,
        source=str(root),
        what=modality.nouns,
    )
    return make_found(
        root,
        task,
        names,
        paths,
        masks,
        given_splits=_complete(splits, root),
        quarantined=(*walker.quarantined, *quarantined),
        ignored={**walker.ignored, **unused},
    )


def make_found(
    root: Path,
    task: Task,
    names: tuple[str, ...],
    paths: Sequence[str],
    masks: Sequence[str],
    *,
    given_splits: tuple[SplitName, ...] | None,
    quarantined: Sequence[Quarantined],
    ignored: Mapping[str, int],
) -> Found:
    """Make the result of a source of masks; the check of the files fills in the targets."""
    return Found(
        Examples(
            ids=tuple(os.path.relpath(path, root) for path in paths),
            inputs=Files(tuple(paths)),
            targets=np.zeros((len(paths), len(names)), np.int64),
            target_files=Files(tuple(masks)),
        ),
        given_splits,
        task,
        names,
        f"folder {root}",
        dict(ignored),
        quarantined=tuple(quarantined),
    )


def _find_pairs(root: Path, modality: Modality, named: str | None) -> list[_Pair]:
    own = _find_pair(root, modality, named)
    if own is not None:
        return [_Pair(None, *own)]
    folders = list_subfolders(root)
    pairs = [
        _Pair(split, *found)
        for folder in folders
        if (split := find_split(folder.name)) is not None
        and (found := _find_pair(folder, modality, named)) is not None
    ]
    if pairs:
        return pairs
    by_name = {folder.name: folder for folder in folders}
    return [
        _Pair(split, folder, by_name[masks])
        for folder in folders
        if (split := find_split(folder.name)) is not None
        for masks in (f"{folder.name}{end}" for end in _FOLDER_ENDS)
        if masks in by_name
    ]


def _find_pair(folder: Path, modality: Modality, named: str | None) -> tuple[Path, Path] | None:
    """Find the folder of examples and that of masks inside a folder; None if it has no such two."""
    inside = {path.name.lower(): path for path in list_subfolders(folder)}
    examples = [path for name, path in inside.items() if name in modality.folder_names]
    if named is not None:
        masks = [path for path in inside.values() if path.name == named]
    else:
        masks = [path for name, path in inside.items() if name in _MASK_FOLDERS]
    return (examples[0], masks[0]) if len(examples) == len(masks) == 1 else None


def _index_masks(folder: Path) -> dict[str, list[str]]:
    """Paths of the masks in a folder, relative to it, by the same path without the ending."""
    index: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            relative = path.relative_to(folder).as_posix()
            index.setdefault(_stem(relative), []).append(relative)
    return index


def _stem(relative: str) -> str:
    return str(PurePosixPath(relative).with_suffix(""))


@dataclass(frozen=True)
class _NoMask:
    reason: str


def _match(relative: str, index: Mapping[str, list[str]], ending: str | None) -> str | _NoMask:
    """Find the mask of an example by their names."""
    ends = _NAME_ENDS if ending is None else (ending,)
    found = [mask for end in ends for mask in index.get(f"{_stem(relative)}{end}", [])]
    if len(found) == 1:
        return found[0]
    if found:
        return _NoMask(f"several masks: {listed(found, _NAMED)}. Set data.masks.ending")
    return _NoMask("no mask of its name")


def _split_of(relative: str) -> SplitName | None:
    first, separator, _ = relative.replace(os.sep, "/").partition("/")
    return find_split(first) if separator else None


def _complete(splits: Sequence[SplitName | None], root: Path) -> tuple[SplitName, ...] | None:
    """Splits of all examples, or None if no folder says any.

    Raises:
        DataError: Folders say the split of some examples only, or none is for training.
    """
    given = tuple(split for split in splits if split is not None)
    if not given:
        return None
    if len(given) < len(splits):
        raise DataError(
            f"{root}: {len(given):,} of {len(splits):,} examples are in folders of splits such as "
            "`train`. Move the others there too, or none."
        )
    if "train" not in given:
        raise DataError(f"{root}: no folder is for training. Name one `train`.")
    return given


def _layout_error(root: Path, modality: Modality) -> DataError:
    inside = [path.name for path in list_subfolders(root)]
    return DataError(
        f"{root}: found {listed(inside, _NAMED) if inside else 'no folders'}. Expected "
        f"FOLDER/{modality.folder_names[0]} and FOLDER/masks with files of the same names, the "
        "same two below FOLDER/train, or FOLDER/train beside FOLDER/trainannot. For another folder "
        "of masks set data.masks.folder."
    )
