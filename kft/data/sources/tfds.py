"""Reader of TensorFlow Datasets that are already prepared on disk; nothing is downloaded."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from kft.config import DataConfig
from kft.data.found import Found, find_split
from kft.data.sources.tfds_files import DamagedError, read_elements
from kft.data.sources.unpacking import Label, Record, to_found, unpack
from kft.errors import DataError, first_line
from kft.examples import Quarantined, SplitName
from kft.modalities import Modality, choose_modality
from kft.modalities.checked import UnusableError
from kft.printing import listed
from kft.registry import suggest
from kft.tasks import find_task
from kft.tasks.guessing import OF_SETS_OF_NAMES

_INFO = "dataset_info.json"
Encode = Callable[[Any], bytes]
_NAME = re.compile(r"tfds:(?P<name>\w+)(/(?P<config>[\w.-]+))?(:(?P<version>\d+\.\d+\.\d+))?")


def find_tfds(config: DataConfig, *, is_other: bool = False) -> Found:
    """Find the labelled examples of a prepared data set, unpacked to files.

    Its train, validation and test splits become train, validation and holdout;
    splits with other names count as ignored.

    Args:
        config: The `data` section.
        is_other: Whether the data are only judged, not learned from, so a test split is enough.

    Raises:
        DataError: The data set is not prepared, is damaged, has no train split, or its
            input or label feature is missing or of another type.
    """
    folder = find_prepared(config.path or "")
    builder = _open(folder)
    modality = choose_modality(config)
    given, label = _choose_features(builder, config, modality)
    encode = _find_encoder(builder, given, modality)
    splits = {name: split for name in builder.info.splits if (split := find_split(name))}
    if not splits or not (is_other or "train" in splits.values()):
        raise DataError(f"{folder}: no train split; it has {listed(sorted(builder.info.splits))}.")
    _refuse_shared_splits(folder, splits)
    files = sorted(p for p in folder.iterdir() if p.is_file())
    unpacked = unpack(
        files,
        {"input": given, "label": label, "splits": splits},
        modality,
        lambda: _read_all(folder, builder, splits, (given, label), encode),
    )
    # In a feature that is a sequence of classes, an example may have several.
    is_labels = config.target == "auto" and _is_class_sequence(builder, label)
    found = to_found(
        unpacked,
        class_names=config.records.class_names or _read_class_names(builder, label),
        task=OF_SETS_OF_NAMES if is_labels else find_task(config.target),
        source=f"TFDS {builder.info.full_name}",
        on_invalid_file=config.on_invalid_file,
    )
    ignored = {
        f"in split {name!r}, which is neither train, validation nor test": info.num_examples
        for name, info in builder.info.splits.items()
        if name not in splits
    }
    return replace(found, ignored=ignored)


def is_prepared(folder: Path) -> bool:
    """Whether a folder holds a prepared data set: a version, a configuration or all of it."""
    return bool(_find_versions(folder))


def _find_versions(folder: Path) -> list[Path]:
    """Find the prepared versions: the folder itself, or those of its data set or configuration."""
    if _is_version(folder):
        return [folder]
    inside = _list_folders(folder)
    deeper = [version for each in inside for version in _list_folders(each, only=True)]
    return [each for each in (*inside, *deeper) if _is_version(each)]


def _is_version(folder: Path) -> bool:
    # Other programs write a file of this name too, but not beside one of these.
    if not (folder / _INFO).is_file():
        return False
    return (folder / "features.json").is_file() or any(folder.glob("*.tfrecord*"))


def _list_folders(folder: Path, *, only: bool = False) -> list[Path]:
    """List the folders in a folder; with `only`, return none if it also holds a file."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir():
                    found.append(Path(entry.path))
                elif only:
                    # Avoids listing all images of a class folder.
                    return []
    except OSError:
        return []
    return found


def find_prepared(path: str) -> Path:
    """Find the folder of a prepared data set on disk.

    Args:
        path: `tfds:NAME`, optionally with `/CONFIG` and `:VERSION`, or the folder of a version
            or of a data set. A data set gives its newest version.

    Raises:
        DataError: The data set is not prepared; the message says how to prepare it.
    """
    if not path.startswith("tfds:"):
        return _find_in_folder(Path(path).expanduser().absolute())
    match = _NAME.fullmatch(path)
    if match is None:
        raise DataError(f"data.path: {path!r}; expected tfds:NAME, with /CONFIG or :VERSION.")
    root = Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser().absolute()
    home = root / match["name"]
    versions = _find_versions(home)
    if match["config"]:
        versions = [p for p in versions if p.parent == home / match["config"]]
    if match["version"]:
        versions = [p for p in versions if p.name == match["version"]]
    if not versions:
        name = path.removeprefix("tfds:")
        raise DataError(
            f"data.path: {path} is not prepared in {root}, and kft downloads nothing. On a machine "
            f"with network access run `tfds build {match['name']}`, or "
            f"`python -c \"import tensorflow_datasets as tfds; tfds.load('{name}')\"`, copy "
            "the folder, and set TFDS_DATA_DIR to the folder that holds it."
        )
    if len({p.parent for p in versions}) > 1:
        configs = sorted(p.parent.name for p in versions)
        raise DataError(
            f"data.path: {path} has several configurations: {listed(configs)}. "
            f"Choose one with tfds:{match['name']}/NAME."
        )
    return _find_newest(versions)


def _find_in_folder(folder: Path) -> Path:
    versions = _find_versions(folder)
    if not versions:
        raise DataError(
            f"data.path: {folder} is not a prepared TFDS folder; it has no {_INFO}. "
            "Give the folder of a version, such as NAME/1.0.0, or tfds:NAME."
        )
    if folder in versions:
        return folder
    homes = sorted({str(p.parent) for p in versions})
    if len(homes) > 1:
        raise DataError(
            f"data.path: {folder} holds several data sets or configurations: {listed(homes)}. "
            "Give one of them."
        )
    return _find_newest(versions)


def _find_newest(versions: Sequence[Path]) -> Path:
    return max(versions, key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)])


def _open(folder: Path) -> Any:
    """Make the builder that reads a prepared folder."""
    import tensorflow_datasets
    from google.protobuf.json_format import ParseError

    try:
        return tensorflow_datasets.builder_from_directory(folder)
    except (OSError, ValueError, KeyError, AttributeError, ParseError) as error:
        raise DataError(
            f"{folder}: the data set's description cannot be read: {first_line(error)} Prepare "
            "or copy the data set again."
        ) from None


def _refuse_shared_splits(folder: Path, splits: dict[str, SplitName]) -> None:
    for split in set(splits.values()):
        names = sorted(name for name, other in splits.items() if other == split)
        if len(names) > 1:
            raise DataError(f"{folder}: splits {listed(names)} would all be {split}.")


def _choose_features(builder: Any, config: DataConfig, modality: Modality) -> tuple[str, str]:
    features = builder.info.features
    chosen = []
    usual_input = modality.record_features["tfds"]
    for key, usual in (("input_feature", usual_input), ("label_feature", "label")):
        name = getattr(config.records, key) or usual
        if name not in features:
            raise DataError(
                f"{builder.info.full_name}: no feature {name!r}. {suggest(name, features)} "
                f"Choose one with data.records.{key}=NAME."
            )
        chosen.append(name)
    given, label = chosen
    return given, label


def _find_encoder(builder: Any, given: str, modality: Modality) -> Encode | None:
    """Find the function that encodes an element as a file; None if it is encoded already."""
    feature = builder.info.features[given]
    try:
        return modality.encode_feature(feature)
    except UnusableError as error:
        raise DataError(
            f"{builder.info.full_name}: feature {given!r} is not of type {modality.noun}: "
            f"{feature!r}. "
            f"{error}"
        ) from None


def _read_class_names(builder: Any, label: str) -> tuple[str, ...]:
    feature = builder.info.features[label]
    feature = getattr(feature, "feature", feature)  # element type of a sequence
    return tuple(getattr(feature, "names", None) or ())


def _is_class_sequence(builder: Any, label: str) -> bool:
    is_sequence = hasattr(builder.info.features[label], "feature")
    return is_sequence and bool(_read_class_names(builder, label))


def _read_all(
    folder: Path,
    builder: Any,
    splits: dict[str, SplitName],
    names: tuple[str, str],
    encode: Encode | None,
) -> Iterator[Record | Quarantined]:
    count = 0
    try:
        for record in _read_records(builder, splits, names, encode):
            count += 1
            yield record
    except (DamagedError, OSError) as error:
        # Reading cannot continue after the damage: formats differ, and records may be batches.
        raise DataError(
            f"{folder}: damaged after {count} examples: {first_line(error)} Prepare or copy the "
            "data set again."
        ) from None


def _read_records(
    builder: Any, splits: dict[str, SplitName], names: tuple[str, str], encode: Encode | None
) -> Iterator[Record | Quarantined]:
    import tensorflow_datasets as tfds

    features = builder.info.features
    given, label = names
    is_sequence = hasattr(features[label], "feature")
    class_names = _read_class_names(builder, label)
    decoders = {given: tfds.decode.SkipDecoding()} if encode is None else {}
    for name, split in splits.items():
        for position, element in enumerate(read_elements(builder, name, decoders)):
            content = element[given] if encode is None else encode(element[given])
            value = _to_label(element[label], class_names, is_sequence)
            if value is None:
                where = f"split {name}, example {position}"
                reason = "its label is negative, so it is unlabelled"
                yield Quarantined(where, str(builder.data_path), reason)
            else:
                yield Record(f"{name}#{position:06d}", split, content, value)


def _to_label(value: Any, names: tuple[str, ...], is_sequence: bool) -> Label | None:
    """Convert to a class name, 0 or 1 for each name, or numbers; None if there is no label."""
    if names and is_sequence:
        return [float(index in value) for index in range(len(names))]
    if names:
        # Test splits often come without labels; names[-1] would be the last class.
        return names[int(value)] if int(value) >= 0 else None
    if isinstance(value, bytes | str):
        return value if isinstance(value, str) else value.decode("utf-8")
    # Some formats give Python numbers.
    values = np.asarray(value)
    if values.ndim == 0 and values.dtype.kind in "iub":
        return int(values)
    return [float(number) for number in values.reshape(-1)]
