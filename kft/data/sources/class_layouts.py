"""Refusal of folder layouts that are probably not meant as class folders."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kft.data.found import find_split
from kft.data.reason_groups import list_by_reason
from kft.data.refusing import list_bad
from kft.data.sources.split_folders import list_subfolders
from kft.data.sources.walking import Walker, find_ending, find_hidden
from kft.errors import DataError
from kft.modalities import Modality
from kft.printing import listed, readable

LAYOUT = "Expected FOLDER/<class>/<file>, or FOLDER/train/<class>/<file>"
Classes = Mapping[str, Sequence[str]]
_TABLE_ENDINGS = (".csv", ".tsv", ".parquet", ".jsonl")
# Up to this many classes with files in subfolders are named one by one.
_NAMED = 5


def refuse_unlabelled(root: Path, folder: Path, classes: Iterable[str]) -> None:
    """Refuse folders that all have names of splits but hold no class folders.

    Args:
        root: Data folder.
        folder: Folder that holds these folders.
        classes: Names of these folders.

    Raises:
        DataError: All names are names of splits. The message names tables that may hold the
            labels.
    """
    names = list(classes)
    if not names or not all(map(find_split, names)):
        return
    tables = describe_tables([root, *(folder / name for name in names)])
    raise DataError(
        f"{folder}: found {listed(names)}, which are names of splits, but no class folders "
        f"inside them, so the classes are unknown. {LAYOUT}.{tables}"
    )


def refuse_loose(folder: Path, modality: Modality) -> None:
    """Refuse a folder without class folders.

    Raises:
        DataError: Always.
    """
    loose = sum(modality.has_ending(p.name) for p in folder.iterdir())
    found = f"{loose} {modality.nouns} but no class folders" if loose else "no class folders"
    raise DataError(f"{folder} holds {found}. {LAYOUT}.{describe_tables([folder])}")


def refuse_one_class(root: Path, folder: Path, name: str) -> None:
    """Refuse a single class folder, and suggest its subfolders if they may be the classes.

    Args:
        root: Data folder.
        folder: Folder that holds the class folder.
        name: Name of the class folder.

    Raises:
        DataError: Always.
    """
    only = folder / name
    while len(inside := list_subfolders(only)) == 1:
        only = inside[0]
    if len(inside) < 2:
        raise DataError(
            f"{root} has one class folder, {name!r}; classification needs at least two. "
            f"{LAYOUT}.{describe_tables([root, folder, folder / name])}"
        )
    listing = listed([readable(p.name) for p in inside])
    how = (
        f"data.path={_shown(only)}"
        if folder == root
        else f"data.folders.train={_shown(only.relative_to(root))}, and likewise for other splits"
    )
    raise DataError(
        f"{folder} holds one folder, {name!r}; classification needs at least two. "
        f"{_shown(only.relative_to(folder))} holds {listing}: if these are the classes, set {how}."
    )


def refuse_parts(root: Path, folder: Path, classes: Classes, nouns: str) -> None:
    """Refuse class folders that hold only folders, if several hold folders of the same names.

    They may be parts or splits of the data, with the classes inside.

    Args:
        root: Data folder.
        folder: Folder that holds the class folders.
        classes: Class -> paths of its examples, all of them below its folder.
        nouns: Plural noun for examples, such as "images".

    Raises:
        DataError: The layout is ambiguous. The message gives both readings, with the settings
            for each.
    """
    inner = {name: _find_inner(folder / name, paths) for name, paths in classes.items()}
    first: dict[str, str] = {}
    for other, (other_deep, names) in inner.items():
        owners = Counter(first[name] for name in names if name in first)
        first = dict.fromkeys(names, other) | first
        if not owners:
            continue
        one = owners.most_common(1)[0][0]
        deep, shared = inner[one][0], sorted(names & inner[one][1])
        if len(shared) < 2 and not any(map(find_split, shared)):
            continue
        raise DataError(
            f"{folder}: class folders {one} and {other} hold no {nouns}, but both hold folders "
            f"{listed(shared, 5)}. Which are the classes? If {listed(shared, 2)}: give one of the "
            f"two, data.path={_shown(deep)}; or say which split each is, such as "
            f"data.folders.train={_shown(deep.relative_to(root))} "
            f"data.folders.holdout={_shown(other_deep.relative_to(root))}. "
            f"If {one} and {other}: data.folders.nested=pool."
        )


def _find_inner(folder: Path, paths: Sequence[str]) -> tuple[Path, frozenset[str]]:
    """Find the first folder of a class with more than one subfolder, and the subfolder names.

    The set of names is empty if examples lie beside the subfolders.
    """
    while True:
        start = len(str(folder)) + 1
        heads = {path[start:].partition("/")[:2] for path in paths}
        if not all(slash for _, slash in heads):
            return folder, frozenset()
        names = frozenset(name for name, _ in heads)
        if len(names) != 1 or any(map(find_split, names)):
            return folder, names
        folder = folder.joinpath(*names)


def count_deeper(folder: Path, classes: Classes) -> Counter[str]:
    """Count the examples in subfolders of class folders, by a description of their place."""
    deeper = {}
    for name, paths in classes.items():
        start = len(str(folder / name)) + 1
        count = sum("/" in path[start:] for path in paths)
        if count:
            deeper[name] = count
    if len(deeper) > _NAMED:
        return Counter({f"from folders within {len(deeper)} class folders": sum(deeper.values())})
    return Counter({f"from folders within class {name!r}": n for name, n in deeper.items()})


def refuse_empty(root: Path, folder: Path, empty: list[str], walker: Walker) -> None:
    """Refuse class folders without an example, and describe their contents.

    Raises:
        DataError: One or more are empty.
    """
    if not empty:
        return
    starts = [(folder / name).relative_to(root).as_posix() for name in empty]
    bad = [
        each
        for each in walker.quarantined
        if each.name in starts or each.name.startswith(tuple(f"{start}/" for start in starts))
    ]
    modality = walker.modality
    contents = list_by_reason([(name, _describe_files(folder / name, modality)) for name in empty])
    why = f"\nOf these cannot be used:\n{list_bad(bad)}" if bad else ""
    raise DataError(
        f"{folder}: no {modality.nouns} in "
        f"{'class folder' if len(empty) == 1 else 'class folders'} {listed(empty)}. kft reads "
        f"{', '.join(modality.endings)}. Convert or add {modality.nouns}, or remove the folder."
        f"\n{contents}{why}"
    )


def _describe_files(folder: Path, modality: Modality) -> str:
    """Describe the files of a folder, such as '6 files ending in .dcm, which kft does not read'."""
    names = [p.name for p in folder.rglob("*") if not p.is_dir() and not find_hidden(p.name)]
    endings = Counter(find_ending(name, modality) for name in names)
    if not endings:
        return "no files"
    listing = [
        f"{count:,} {'file' if count == 1 else 'files'} {_describe_ending(ending, modality)}"
        for ending, count in endings.most_common()
    ]
    return listed(listing, 5)


def _describe_ending(ending: str, modality: Modality) -> str:
    if not ending:
        return f"without an ending or the first bytes of any {modality.noun}"
    if ending in modality.endings:
        return f"ending in {ending} that cannot be used"
    if ending.endswith("…"):
        return f"ending in {ending}, a name left by a download; rename them to end in {ending[:-2]}"
    return f"ending in {ending}, which kft does not read"


def describe_tables(folders: Iterable[Path]) -> str:
    """Describe a table in these folders that may hold the labels; empty if there is none."""
    tables = [
        path
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _TABLE_ENDINGS and not find_hidden(path.name)
    ]
    if not tables:
        return ""
    # Data folders of Hugging Face hold the labels in a table of this name.
    table = next((path for path in tables if path.stem == "metadata"), tables[0])
    if table.suffix.lower() == ".jsonl":
        return (
            f" {_shown(table)} may hold the labels, but kft does not read JSON lines: write it "
            "as CSV, for example with "
            "pandas.read_json(FILE, lines=True).to_csv(FILE.csv, index=False), "
            f"beside the files, and set data.path to it.{_ask_for_columns('metadata')}"
        )
    return (
        f" {_shown(table)} may hold the labels: set "
        f"`data.path={shlex.quote(_shown(table))}`.{_ask_for_columns(table.stem)}"
    )


def _ask_for_columns(stem: str) -> str:
    path_column = "file_name" if stem == "metadata" else "COLUMN"
    return (
        f" Name its columns with data.table.path_column={path_column} and "
        "data.table.label_columns=[COLUMN]."
    )


def _shown(path: Path) -> str:
    return readable(str(path))
