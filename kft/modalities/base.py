"""Base class of modalities: the one class to write for a new kind of examples.

Importing it does not load TensorFlow. A modality imports TensorFlow only when it makes a decoder or
an augmentation.
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
from kft.modalities.corruptions import Corruption
from kft.modalities.explained import ExplainedExample, describe_place
from kft.modalities.model_input import Augmentation, Decoder, InputSpec, StatedInput
from kft.modalities.near_duplicates import find_look_alikes
from kft.registry import Registry

# Longer side of a preview, at which a page with a thousand of them takes a few megabytes.
PREVIEW_SIDE = 104


@dataclass(frozen=True)
class ViewRow:
    """An example and its augmented views, for drawing.

    Attributes:
        title: Label of the example.
        text: Name of the example.
        views: The decoded example, then its views: float32 arrays by name of the element.
    """

    title: str
    text: str
    views: tuple[Mapping[str, np.ndarray], ...]


class Modality(ABC):
    """Kind of examples: its files, their check, their decoding, and how they are shown.

    Attributes:
        name: Name in the registry; its settings are in `data.<name>`.
        noun: Word for one example in messages, and `nouns` for several.
        settings: Class of its settings, which all have defaults.
        input_spec: Class of the inputs of its backbones.
        endings: Endings of its files, in lower case. The content decides whether a file is usable.
        signatures: First bytes of a file -> ending, for files without one and for records.
        value_columns: Usual names of table columns that hold the examples themselves, in lower
            case; none for examples that need a file each.
        record_features: Kind of record files (`tfrecord`, `tfds`) -> usual feature of an example;
            and `tfrecord_label` -> usual feature of its label.
        augmentations: Presets by name, each a function that makes an `Augmentation`, or None if
            the preset changes nothing.
        reading_settings: Settings that decide which files are accepted. All others decide how
            files are decoded, and stay with a trained model.
        most_different_bits: Number of bits by which the `likeness` of near duplicates may differ.
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
        """Return the modality's own section of the `data` section."""
        return getattr(config, self.name)

    # Files

    def has_ending(self, name: str) -> bool:
        """Tell whether a file of this name may hold an example."""
        return name.lower().endswith(self.endings)

    def find_ending(self, content: bytes) -> str | None:
        """Find the ending for the first bytes of a file; None if they are of no known format."""
        starts = (start for start in self.signatures if content.startswith(start))
        start = next(starts, None)
        return None if start is None else self.signatures[start]

    def encode_feature(self, feature: Any) -> Callable[[Any], bytes] | None:
        """Make a function that encodes an element of a TensorFlow Datasets feature as a file.

        Args:
            feature: Feature from `tensorflow_datasets.features`.

        Returns:
            The function; None if the elements are encoded files already.

        Raises:
            UnusableError: The feature holds no examples of this modality; it says what is expected.
        """
        return None

    def refuse_early(self, start: bytes, size: int, settings: Any) -> None:
        """Refuse a file by its beginning and its size, before the rest is read.

        Args:
            start: First few thousand bytes.
            size: Size of the file in bytes.
            settings: Settings of the modality.

        Raises:
            UnusableError: The file cannot be used; it says why.
        """
        if not size:
            raise UnusableError("the file is empty")

    @abstractmethod
    def check(self, file: FileContent, settings: Any, options: CheckOptions) -> Checked:
        """Check a file, and convert it if the decoder would show it wrongly; called in threads.

        Raises:
            UnusableError: The file cannot be used; it says why.
        """

    @contextmanager
    def checking(self) -> Iterator[None]:
        """Enter a context for the checks of many files."""
        yield

    def calibrate(
        self, checked: Sequence[Checked], settings: Any, trained: TrainedCalibration | None = None
    ) -> Calibration | None:
        """Decide what depends on all files of a data set; None if nothing does.

        Args:
            checked: Usable files.
            settings: Settings of the modality.
            trained: Calibration of the model that will see the files; None if there is none yet.
        """
        return None

    def find_look_alikes(self, checked: Sequence[Checked]) -> tuple[tuple[int, ...], ...]:
        """Find sets of indices of near duplicates, each of at least two."""
        return find_look_alikes(
            [each.likeness for each in checked], most_different_bits=self.most_different_bits
        )

    # The graph

    def fit_spec(self, spec: Any, settings: Any, examples: Examples) -> Any:
        """Complete the input of a backbone where it depends on the data, such as a length.

        Args:
            spec: Input of the backbone.
            settings: Settings of the modality.
            examples: Training examples, at least one.
        """
        return spec

    @abstractmethod
    def make_decoder(self, spec: Any, settings: Any, calibrated: Any = None) -> Decoder:
        """Make the decoder of files to the inputs of a backbone, for training and serving.

        Args:
            spec: Input of the backbone.
            settings: Settings of the modality.
            calibrated: Value of the data set's `Calibration`; None without one.
        """

    def make_augmentation(self, preset: str) -> Augmentation | None:
        """Make the augmentation of a preset; None if it changes nothing.

        Call this outside of `Dataset.map`, because Keras layers create variables.

        Raises:
            ConfigError: The preset is unknown.
        """
        augmentation: Augmentation | None = self.augmentations.load(preset)()
        return augmentation

    def reading_key(self, settings: Any) -> str:
        """Return the part of cache keys that decides how files are converted."""
        return ""

    def describe_input(self, spec: InputSpec, settings: Any, calibrated: Any) -> dict[str, Any]:
        """Describe the input for the card of a model, as JSON values."""
        return {
            **asdict(spec),
            "settings": settings.model_dump(mode="json"),
            "calibrated": calibrated,
        }

    def restore_input(self, stated: Mapping[str, Any]) -> StatedInput:
        """Restore the input from the result of `describe_input`.

        Raises:
            KeyError: A value is missing.
        """
        return StatedInput(
            self.restore_spec(stated),
            self.settings(**stated["settings"]),
            TrainedCalibration(stated["calibrated"]),
        )

    def restore_spec(self, stated: Mapping[str, Any]) -> InputSpec:
        """Restore the input of a backbone from a mapping that has the fields of its spec."""
        return self.input_spec(**{each.name: stated[each.name] for each in fields(self.input_spec)})

    # The audit, and display

    def show_calibrated(self, checked: Any, calibration: Calibration) -> Any:
        """Convert the measures of a file to those under the calibration of its data set."""
        return checked

    def find_poor(self, checked: Sequence[Any]) -> tuple[Finding, ...]:
        """Find examples that hold little, such as blank, tiny or silent ones."""
        return ()

    def list_properties(self, checked: Sequence[Any]) -> tuple[Property, ...]:
        """List properties that should not predict the class, such as the format of the file."""
        return ()

    def list_measures(self, checked: Sequence[Any]) -> tuple[Measure, ...]:
        """List measures by which an example may be an outlier."""
        return ()

    def name_kinds(self, checked: Sequence[Any]) -> tuple[str, ...]:
        """Name how each example is stored; the audit reports rare kinds."""
        return ()

    def summarise(self, checked: Sequence[Any]) -> tuple[Fact, ...]:
        """Summarise a set of examples."""
        return ()

    def summarise_group(self, checked: Sequence[Any]) -> tuple[Fact, ...]:
        """Summarise the examples of one class, for a row of the table of classes."""
        return ()

    def preview(
        self, path: str, settings: Any, calibrated: Any = None, *, side: int = PREVIEW_SIDE
    ) -> str | None:
        """Draw a small picture of an example as a data URI; None if it cannot be shown.

        Args:
            path: Path of a file that passed the check.
            settings: Settings of the modality.
            calibrated: Value of the data set's `Calibration`; None without one.
            side: Longer side of the picture on the page.
        """
        return None

    def draw_views(self, rows: Sequence[ViewRow], caption: str) -> bytes | None:
        """Draw a PNG file of examples and their augmented views; None if that is impossible."""
        return None

    def list_corruptions(self) -> tuple[Corruption, ...]:
        """List the corruptions that examples may suffer, for evaluation; none by default."""
        return ()

    def draw_explanation(
        self, spec: Any, example: ExplainedExample, values: np.ndarray
    ) -> bytes | None:
        """Draw a PNG file of an example with what its answer depends on; None if impossible.

        Args:
            spec: Input of the backbone.
            example: The example.
            values: Value of each position (axes …): above 0 speaks for the answer.
        """
        return None

    def describe_explanation(self, spec: Any, example: ExplainedExample, values: np.ndarray) -> str:
        """Say in a few words what an answer depends on most; see `draw_explanation`."""
        return describe_place(spec.explained.names, values, example.parts)


def make_no_augmentation() -> None:
    """Return no augmentation: examples stay as they are."""
