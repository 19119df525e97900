"""Reader of examples with boxes, in the layouts of annotations that their modality knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kft.config import DataConfig
from kft.data.found import Found, find_split, sort_class_names
from kft.data.refusing import refuse_bad
from kft.data.sources.box_collection import BoxCollection
from kft.errors import DataError
from kft.examples import Examples, Files, SplitName
from kft.modalities import choose_modality
from kft.modalities.annotated import AnnotationError, Annotations
from kft.printing import listed
from kft.tasks import Task, find_task
from kft.tasks.guessing import OF_BOXES


def find_boxes(config: DataConfig) -> Found:
    """Find the examples of a layout of annotations, such as COCO.

    Raises:
        DataError: The layout is unknown, its annotations cannot be read, or see `collect_boxes`.
    """
    path = Path(config.path or "").expanduser().absolute()
    modality = choose_modality(config)
    layout = config.source if config.source in modality.layouts else modality.find_layout(path)
    if layout is None:
        raise DataError(
            f"data.path: {path} has no known layout of boxes. Expected one of "
            f"{', '.join(modality.layouts)}, or a table with a row for each box."
        )
    try:
        annotations = modality.layouts.load(layout)(path, find_box_folder(config, path))
        return collect_boxes(annotations, config, f"{layout.upper()} {path}")
    except AnnotationError as error:
        raise DataError(str(error)) from None


def find_box_folder(config: DataConfig, path: Path) -> Path | None:
    """Find the folder of the annotated files; None if `data.boxes.folder` names none.

    Raises:
        DataError: There is no such folder.
    """
    if config.boxes.folder is None:
        return None
    start = path if path.is_dir() else path.parent
    folder = start / Path(config.boxes.folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"data.boxes.folder: {folder} is not a folder. Paths start from {start}.")
    return folder


def collect_boxes(annotations: Annotations, config: DataConfig, source: str) -> Found:
    """Collect annotated examples, and leave out those that cannot be used.

    Args:
        annotations: Annotations of the data set.
        config: The `data` section.
        source: Name of the data, for messages.

    Raises:
        DataError: `data.target` is of another kind, no example is left, or some cannot be used
            and `data.on_invalid_file` is `stop`.
    """
    task = _find_task(config)
    modality = choose_modality(config)
    collected = BoxCollection(annotations.root, config.boxes.allowed_roots, modality)
    for annotated in annotations.read():
        collected.add(annotated)
    usable = collected.find_usable()
    refuse_bad(
        collected.quarantined,
        collected.num_examples,
        on_invalid_file=config.on_invalid_file,
        source=source,
        what=modality.nouns,
    )
    if not usable:
        raise DataError(f"{source}: there are no annotated {modality.nouns}.")
    names, notes = _order_classes(collected.class_names, annotations.class_names)
    targets = task.parse(collected.make_boxes(names))
    return Found(
        Examples(tuple(collected.paths), Files(tuple(collected.paths.values())), targets.values),
        _read_splits(source, collected.splits),
        targets.task,
        targets.names,
        source,
        {reason: number for reason, number in annotations.ignored.items() if number},
        quarantined=tuple(collected.quarantined),
        notes=(*annotations.notes, *notes, *targets.notes),
        noticed=collected.count_remarks(),
        findings=tuple(collected.find_remarkable()),
    ).take(usable)


def _find_task(config: DataConfig) -> Task:
    task = find_task(config.target) or OF_BOXES
    if not task.reads_boxes:
        raise DataError(
            f"data.target: {config.target!r}, but {config.path} holds boxes around objects. Remove "
            f"it, or set data.target={OF_BOXES.word}."
        )
    return task


def _order_classes(
    occurring: Sequence[str], stated: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Order the classes that occur, and note those that are stated only."""
    if stated is None:
        return sort_class_names(occurring), ()
    absent = [name for name in stated if name not in occurring]
    note = f"stated classes without a box are left out: {listed(absent)}."
    return tuple(name for name in stated if name in occurring), (note,) if absent else ()


def _read_splits(source: str, words: Sequence[str | None]) -> tuple[SplitName, ...] | None:
    """Read the split of each example; None if none has a word for it."""
    splits = {word: None if word is None else find_split(word) for word in set(words)}
    unknown = sorted(word for word, split in splits.items() if word is not None and split is None)
    if unknown:
        raise DataError(
            f"{source}: {listed(unknown)} names no split. Usual names: train, val, test."
        )
    if None in splits:
        return None
    found = [splits[word] for word in words]
    return tuple(split for split in found if split is not None)
