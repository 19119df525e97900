"""What a kind of examples is: the one class to write for a new modality.

Importing it loads no TensorFlow. A modality imports what needs TensorFlow when it is asked for a
decoder or an augmentation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from kft.config import DataConfig, ModalityConfig
from kft.examples import Calibration, Examples
from kft.findings import Finding
from kft.modalities.audit_records import Fact, Measure, Property
from kft.modalities.checked import (
    Checked,
    CheckOptions,
    FileContent,
    TrainedCalibration,
    UnusableError,
)
from kft.modalities.model_input import Augmentation, Decoder, InputSpec, StatedInput
from kft.modalities.near_duplicates import find_look_alikes
from kft.registry import Registry

# Longer side of a preview: a page of a thousand of them stays at a few megabytes.
PREVIEW_SIDE = 104


@dataclass(frozen=True)
class ViewRow:
    """An example and its augmented views, to be drawn.

    Attributes:
        title: Its label.
        text: Its file.
        views: The decoded example, then its views: float32 arrays by name of the element.
    """

    title: str
    text: str
    views: tuple[Mapping[str, np.ndarray], ...]


class Modality(ABC):
    """What an example is: which files hold one, whether they can be used, and how they are read.

    Attributes:
        name: In the registry; settings stand at `data.<name>`.
        noun: What messages call an example, and `nouns` several of them.
        settings: The section of its settings, all with defaults.
        input_spec: The class of what its backbones read.
        endings: Of its files, in lower case; whether a file can be used, its content decides.
        signatures: First bytes of a file -> its ending, for files without one and for records.
        value_columns: Usual names of table columns that hold the examples themselves, in lower
            case; none for examples that need a file each.
        record_features: Kind of record files (`tfrecord`, `tfds`) -> the feature that usually
            holds an example; and `tfrecord_label`, that of its label.
        augmentations: Presets by name, each a function that gives an `Augmentation`, or None
            where it changes nothing.
        reading_settings: Settings that say which files are taken; all others decide how they are
            decoded, and hold for whatever a trained model is asked about.
        most_different_bits: In which the `likeness` of two examples that look the same may differ.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    nouns: ClassVar[str]
    settings: ClassVar[type[ModalityConfig]]
    input_spec: ClassVar[type[InputSpec]]
    endings: ClassVar[tuple[str, ...]]
    signatures: ClassVar[Mapping[bytes, str]] = {}
    value_columns: ClassVar[tuple[str, ...]] = ()
    record_features: ClassVar[Mapping[str, str]] = {}
    augmentations: ClassVar[Registry] = Registry(
        "augmentation", {"none": "kft.modalities.base:make_no_augmentation"}
    )
    reading_settings: ClassVar[frozenset[str]] = frozenset()
    most_different_bits: ClassVar[int] = 0

    def settings_of(self, config: DataConfig) -> Any:
        """The modality's own section of the `data` section."""
        return getattr(config, self.name)

    # Files

    def has_ending(self, name: str) -> bool:
        """Whether a file of this name may hold an example."""
        return name.lower().endswith(self.endings)

    def find_ending(self, content: bytes) -> str | None:
        """The ending that the first bytes of a file call for; None where they are no example's."""
        starts = (start for start in self.signatures if content.startswith(start))
        start = next(starts, None)
        return None if start is None else self.signatures[start]

    def encode_feature(self, feature: Any) -> Callable[[Any], bytes] | None:
        """What writes an element of a TensorFlow Datasets feature as a file.

        Args:
            feature: Of `tensorflow_datasets.features`.

        Returns:
            None where the elements are encoded already, and need not be decoded for it.

        Raises:
            UnusableError: It holds no examples of this modality; says what is expected.
        """
        return None

    def refuse_early(self, start: bytes, size: int, settings: Any) -> None:
        """Refuse a file that need not be read as a whole for it.

        Args:
            start: Its first bytes, some thousand.
            size: Of all of it, in bytes.
            settings: The modality's.

        Raises:
            UnusableError: It says what was found.
        """
        if not size:
            raise UnusableError("the file is empty")

    @abstractmethod
    def check(self, file: FileContent, settings: Any, options: CheckOptions) -> Checked:
        """Whether a file can be used, as it is or as converted. Called in several threads.

        Raises:
            UnusableError: It cannot be used; says why.
        """

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Around the checks of many files."""
        yield

    def calibrate(
        self, checked: Sequence[Checked], settings: Any, trained: TrainedCalibration | None = None
    ) -> Calibration | None:
        """What is decided over all files of a data set; None where there is nothing to decide.

        Args:
            checked: The files that are used.
            settings: The modality's.
            trained: What the model that is to see them knows; None where there is none yet.
        """
        return None

    def find_look_alikes(self, checked: Sequence[Checked]) -> tuple[tuple[int, ...], ...]:
        """Sets of positions of examples that look the same, each of two at least."""
        return find_look_alikes(
            [each.likeness for each in checked], most_different_bits=self.most_different_bits
        )

    # The graph

    def fit_spec(self, spec: Any, settings: Any, examples: Examples) -> Any:
        """Complete the input of a backbone where it depends on the data, such as a length.

        Args:
            spec: Spec of the backbone.
            settings: The modality's.
            examples: Training examples, at least one.
        """
        return spec

    @abstractmethod
    def make_decoder(self, spec: Any, settings: Any, calibrated: Any = None) -> Decoder:
        """What turns the content of files into what a backbone reads, for training and serving.

        Args:
            spec: What the backbone reads.
            settings: The modality's.
            calibrated: Value of the data set's `Calibration`; None without one.
        """

    def make_augmentation(self, preset: str) -> Augmentation | None:
        """The augmentation of a preset, or None where it changes nothing.

        Build it outside of `Dataset.map`: Keras layers create variables.

        Raises:
            ConfigError: The preset is unknown.
        """
        augmentation: Augmentation | None = self.augmentations.load(preset)()
        return augmentation

    def reading_key(self, settings: Any) -> str:
        """What decides what is read in place of a file, beside its content: part of cache keys."""
        return ""

    def describe_input(self, spec: InputSpec, settings: Any, calibrated: Any) -> dict[str, Any]:
        """What the card of a model says of its input, as JSON values."""
        return {
            **asdict(spec),
            "settings": settings.model_dump(mode="json"),
            "calibrated": calibrated,
        }

    def restore_input(self, stated: Mapping[str, Any]) -> StatedInput:
        """What `describe_input` described.

        Raises:
            KeyError: Something is missing.
        """
        return StatedInput(
            self.restore_spec(stated),
            self.settings(**stated["settings"]),
            TrainedCalibration(stated["calibrated"]),
        )

    def restore_spec(self, stated: Mapping[str, Any]) -> InputSpec:
        """What a backbone reads, of a mapping that holds the fields of its spec among others."""
        return self.input_spec(**{each.name: stated[each.name] for each in fields(self.input_spec)})

    # The audit, and what people look at

    def show_calibrated(self, checked: Any, calibration: Calibration) -> Any:
        """What was measured of a file, as the data set's calibration shows it."""
        return checked

    def find_poor(self, checked: Sequence[Any]) -> tuple[Finding, ...]:
        """Examples that hold little: blank, tiny, silent …"""
        return ()

    def list_properties(self, checked: Sequence[Any]) -> tuple[Property, ...]:
        """What should not tell the class of an example, such as the format of its file."""
        return ()

    def list_measures(self, checked: Sequence[Any]) -> tuple[Measure, ...]:
        """Numbers in which an example may lie far from the others."""
        return ()

    def name_kinds(self, checked: Sequence[Any]) -> tuple[str, ...]:
        """How each example is stored, in words; a kind that is rare among the others is odd."""
        return ()

    def summarise(self, checked: Sequence[Any]) -> tuple[Fact, ...]:
        """What a set of examples looks like."""
        return ()

    def summarise_group(self, checked: Sequence[Any]) -> tuple[Fact, ...]:
        """The columns of a table of classes: what the examples of one have in common."""
        return ()

    def preview(
        self, path: str, settings: Any, calibrated: Any = None, *, side: int = PREVIEW_SIDE
    ) -> str | None:
        """A small picture of an example as a data URI; None where it cannot be shown.

        Args:
            path: Of a file that was found usable.
            settings: The modality's.
            calibrated: Value of the data set's `Calibration`; None without one.
            side: Longer side of the picture on the page.
        """
        return None

    def draw_views(self, rows: Sequence[ViewRow], caption: str) -> bytes | None:
        """A PNG file that shows examples and what augmentation makes of them; None for none."""
        return None


def make_no_augmentation() -> None:
    """Examples as they are."""
