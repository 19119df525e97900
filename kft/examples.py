"""Labelled examples in three splits: the value that the room of data hands on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from kft.config.modality_sections import DEFAULT_MODALITY
from kft.tasks import Task

SplitName = Literal["train", "validation", "holdout"]
# Bytes of a file, and nanoseconds since 1970 at which it was changed.
Stamp = tuple[int, int]
# Called with (examples done, examples in all).
Progress = Callable[[int, int], None]
SPLIT_NAMES: tuple[SplitName, ...] = ("train", "validation", "holdout")


@dataclass(frozen=True)
class Examples:
    """Labelled files in a fixed order.

    Attributes:
        ids: Name of each example within its data set, with forward slashes.
        paths: Absolute path of each example's file.
        targets: int64 (examples,) class indices; float32 (examples, labels) of
            0 and 1; or float64 (examples, numbers), as the source has them.
        stamps: Size and time of change of each file when it was checked; None
            where nobody checked.
    """

    ids: tuple[str, ...]
    paths: tuple[str, ...]
    targets: np.ndarray
    stamps: tuple[Stamp, ...] | None = None

    def __post_init__(self) -> None:
        assert len(self.ids) == len(self.paths) == len(self.targets)
        assert self.stamps is None or len(self.stamps) == len(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int] | np.ndarray) -> Examples:
        """The examples at `indices`, in that order."""
        return Examples(
            ids=tuple(self.ids[i] for i in indices),
            paths=tuple(self.paths[i] for i in indices),
            targets=self.targets[np.asarray(indices, dtype=np.int64)],
            stamps=self.stamps and tuple(self.stamps[i] for i in indices),
        )

    @staticmethod
    def join(parts: Sequence[Examples]) -> Examples:
        """The examples of all parts, one part after the other."""
        return Examples(
            ids=tuple(name for part in parts for name in part.ids),
            paths=tuple(path for part in parts for path in part.paths),
            targets=np.concatenate([part.targets for part in parts]),
            stamps=None
            if any(part.stamps is None for part in parts)
            else tuple(stamp for part in parts for stamp in part.stamps or ()),
        )


@dataclass(frozen=True, slots=True)
class Quarantined:
    """What a source or the gate left out because it cannot be used.

    Attributes:
        name: What the source calls it: an example's id, `labels.csv, line 7: cat/3.jpg`,
            `train.tfrecord, record 12`.
        path: The file, or the file that holds it.
        reason: Why, in words that need neither of the two.
    """

    name: str
    path: str
    reason: str


@dataclass(frozen=True)
class Calibration:
    """A decision over all files of a data set, by which every one of them is decoded.

    Attributes:
        title: What was decided, as people read it, such as `Depth`.
        value: The decision, a JSON value; recorded with the model.
        origin: How it was found, and which files go by it, in words.
    """

    title: str
    value: Any
    origin: str


@dataclass(frozen=True)
class Splits:
    """Train, validation and holdout of one data set.

    Attributes:
        train: What is fitted.
        validation: What choices are made on; may be empty.
        holdout: What is judged once; may be empty.
        task: What a target is.
        class_names: Name of each class, label or number, by index.
        fingerprint: SHA-256 over ids, contents and targets, whatever the
            order of the files.
        origin: How the split was made, in words.
        ignored: Reason -> how many files of the source were left aside for it.
        quarantined: What cannot be used, and why.
        repaired: Reason -> how many files are used as converted for it.
        noticed: Word on a file that is used -> how many it is true of.
        notes: Sentences on what was read otherwise than it is written, and on what cannot be
            judged.
        modality: Name of what an example is.
        calibration: What was decided over all files; None where the modality has nothing to
            decide of these.
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
        """The value of the calibration, for a decoder and for what is recorded; None without."""
        return None if self.calibration is None else self.calibration.value

    def get(self, split: SplitName) -> Examples:
        """The examples of one split, by its name."""
        examples: Examples = getattr(self, split)
        return examples

    def map_targets(self, function: Callable[[np.ndarray], np.ndarray]) -> Splits:
        """The same splits with other targets, such as standardised ones."""
        train, validation, holdout = (
            replace(examples, targets=function(examples.targets))
            for examples in map(self.get, SPLIT_NAMES)
        )
        return replace(self, train=train, validation=validation, holdout=holdout)

    def join(self, splits: Sequence[SplitName]) -> Examples:
        """The examples of one or several splits, one split after the other."""
        parts = [self.get(split) for split in splits]
        return parts[0] if len(parts) == 1 else Examples.join(parts)
