"""Labelled examples in three splits, the result of the room of data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal

import numpy as np

from kft.config.modality_sections import DEFAULT_MODALITY
from kft.tasks import Task

SplitName = Literal["train", "validation", "holdout"]
# Size of a file in bytes, and time of its last change in nanoseconds since 1970.
Stamp = tuple[int, int]
# Called with (examples done, examples in all).
Progress = Callable[[int, int], None]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "holdout")


@dataclass(frozen=True)
class Files:
    """Files that hold one example each.

    Attributes:
        paths: Absolute path of each file.
        stamps: Size and modification time of each file at its check; None without a check.
    """

    paths: tuple[str, ...]
    stamps: tuple[Stamp, ...] | None = None

    def __post_init__(self) -> None:
        assert self.stamps is None or len(self.stamps) == len(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, indices: Sequence[int] | np.ndarray) -> Files:
        """Select the files at `indices`, in that order."""
        return Files(
            tuple(self.paths[i] for i in indices),
            self.stamps and tuple(self.stamps[i] for i in indices),
        )

    def join(self, other: Files) -> Files:
        """Append the files of another part; without the stamps of both there are none."""
        stamps = None
        if self.stamps is not None and other.stamps is not None:
            stamps = (*self.stamps, *other.stamps)
        return Files((*self.paths, *other.paths), stamps)


@dataclass(frozen=True)
class Values:
    """Examples in memory, such as the texts of a table.

    Attributes:
        contents: Content of each example, as a file would hold it.
    """

    contents: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.contents)

    def take(self, indices: Sequence[int] | np.ndarray) -> Values:
        """Select the values at `indices`, in that order."""
        return Values(tuple(self.contents[i] for i in indices))

    def join(self, other: Values) -> Values:
        """Append the values of another part."""
        return Values((*self.contents, *other.contents))


Inputs = Files | Values


@dataclass(frozen=True)
class Examples:
    """Labelled examples in a fixed order.

    Attributes:
        ids: Name of each example within its data set, with forward slashes.
        inputs: The examples without their targets.
        targets: int64 (examples,) class indices; float32 (examples, labels) of
            0 and 1; float64 (examples, numbers), in the unit of the source; or
            float32 (examples, boxes, 5), as `kft.tasks.BOXES` says.
        target_files: File with the target of each example, read and decoded
            beside it; `targets` then holds a summary of it. None for targets
            that are all in `targets`.
        units: Unit of each example, int64 (examples,): examples of one unit belong to one group
            or look the same, so cross-validation leaves them out together. None if each example
            is a unit of its own.
        metadata: Other values of each example (examples,), texts as objects or float64, by name:
            columns of a table, or the groups of the split. Answers are sliced by them.
    """

    ids: tuple[str, ...]
    inputs: Inputs
    targets: np.ndarray
    units: np.ndarray | None = None
    target_files: Files | None = None
    metadata: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.inputs) == len(self.targets)
        assert self.target_files is None or len(self.target_files) == len(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def groups(self) -> np.ndarray | None:
        """Group of each example for intervals: `units`; None if each example stands alone."""
        is_grouped = self.units is not None and len(np.unique(self.units)) < len(self.units)
        return self.units if is_grouped else None

    @property
    def companions(self) -> Files | np.ndarray:
        """Targets that a decoder takes beside the inputs: their files, or rows of an array."""
        return self.targets if self.target_files is None else self.target_files

    def take(self, indices: Sequence[int] | np.ndarray) -> Examples:
        """Select the examples at `indices`, in that order."""
        places = np.asarray(indices, dtype=np.int64)
        return Examples(
            ids=tuple(self.ids[i] for i in indices),
            inputs=self.inputs.take(indices),
            targets=self.targets[places],
            units=None if self.units is None else self.units[places],
            metadata={name: values[places] for name, values in self.metadata.items()},
            target_files=self.target_files and self.target_files.take(indices),
        )

    @staticmethod
    def join(parts: Sequence[Examples]) -> Examples:
        """Join the examples of parts of one data set, in order; their inputs are of one kind."""
        inputs: Any = parts[0].inputs
        for part in parts[1:]:
            assert isinstance(part.inputs, type(inputs))
            inputs = inputs.join(part.inputs)
        return Examples(
            ids=tuple(name for part in parts for name in part.ids),
            inputs=inputs,
            targets=np.concatenate([part.targets for part in parts]),
            units=_join_units([part.units for part in parts]),
            metadata={
                name: np.concatenate([part.metadata[name] for part in parts])
                for name in parts[0].metadata
            },
            target_files=_join_files([part.target_files for part in parts]),
        )


def _join_units(parts: Sequence[np.ndarray | None]) -> np.ndarray | None:
    found = [part for part in parts if part is not None]
    assert len(found) in (0, len(parts))
    return np.concatenate(found) if found else None


def _join_files(parts: Sequence[Files | None]) -> Files | None:
    found = [part for part in parts if part is not None]
    assert len(found) in (0, len(parts))
    return reduce(Files.join, found) if found else None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Example that a source or the file check left out because it cannot be used.

    Attributes:
        name: Name in the source: an example's id, `labels.csv, line 7: cat/3.jpg`, or
            `train.tfrecord, record 12`.
        path: Path of the file, or of the file that contains it.
        reason: Reason, without its name and path.
    """

    name: str
    path: str
    reason: str


@dataclass(frozen=True)
class Calibration:
    """Setting determined from all files of a data set, with which each of them is decoded.

    Attributes:
        title: Name of the setting for people, such as `Depth`.
        value: JSON value of the setting; recorded with the model.
        origin: Description of how it was found, and which files use it.
    """

    title: str
    value: Any
    origin: str


@dataclass(frozen=True)
class Splits:
    """Train, validation and holdout of one data set.

    Attributes:
        train: Examples to fit.
        validation: Examples to make choices on; may be empty.
        holdout: Examples to judge the final model on, once; may be empty.
        task: Task of the targets.
        class_names: Name of each class, label or number, by index.
        fingerprint: SHA-256 over ids, contents and targets, independent of the
            order of the files.
        origin: Description of how the split was made.
        ignored: Reason -> number of ignored files of the source.
        quarantined: Files that cannot be used, with reasons.
        repaired: Reason -> number of converted files.
        noticed: Remark on used files -> number of files.
        notes: Sentences about values that were read in a different form, and about classes
            that cannot be judged.
        modality: Name of the modality.
        calibration: Setting determined from all files; None if the modality needs none.
    """

    train: Examples
    validation: Examples
    holdout: Examples
    task: Task
    class_names: tuple[str, ...]
    fingerprint: str
    origin: str
    ignored: Mapping[str, int] = field(default_factory=dict)
    quarantined: tuple[Quarantined, ...] = ()
    repaired: Mapping[str, int] = field(default_factory=dict)
    noticed: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    modality: str = DEFAULT_MODALITY
    calibration: Calibration | None = None

    @property
    def calibrated(self) -> Any:
        """Value of the calibration, for decoders and records; None without calibration."""
        return None if self.calibration is None else self.calibration.value

    def get(self, split: SplitName) -> Examples:
        """Return the examples of one split by its name."""
        examples: Examples = getattr(self, split)
        return examples

    def map_targets(self, function: Callable[[np.ndarray], np.ndarray]) -> Splits:
        """Replace the targets of all splits, for example with standardised ones."""
        train, validation, holdout = (
            replace(examples, targets=function(examples.targets))
            for examples in map(self.get, SPLIT_NAMES)
        )
        return replace(self, train=train, validation=validation, holdout=holdout)

    def join(self, splits: Sequence[SplitName]) -> Examples:
        """Join the examples of one or several splits, in order."""
        parts = [self.get(split) for split in splits]
        return parts[0] if len(parts) == 1 else Examples.join(parts)
