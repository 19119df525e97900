"""Base class of modalities: the one class to write for a new kind of examples.

Importing it does not load TensorFlow. A modality imports TensorFlow only when it makes a decoder or
an augmentation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar

from kft.config import DataConfig, MasksConfig, ModalityConfig
from kft.examples import Calibration, Examples
from kft.modalities.annotated import AnnotationError, Outlined
from kft.modalities.checked import (
    Checked,
    CheckedTarget,
    CheckOptions,
    FileContent,
    TrainedCalibration,
    UnusableError,
)
from kft.modalities.model_input import Augmentation, Baseline, Decoder, InputSpec, StatedInput
from kft.modalities.near_duplicates import find_look_alikes
from kft.modalities.showing import Showing
from kft.registry import Registry


class Modality(Showing, ABC):
    """Kind of examples: its files, their check, their decoding, and how they are shown.

    Attributes:
        name: Name in the registry; its settings are in `data.<name>`.
        noun: Word for one example in messages, and `nouns` for several.
        settings: Class of its settings, which all have defaults.
        input_spec: Class of the inputs of its backbones.
        default_backbone: Name of the backbone of a pipeline that names none; None if every pipeline
            must name one.
        endings: Endings of its files, in lower case. The content decides whether a file is usable.
        signatures: First bytes of a file -> ending, for files without one and for records.
        folder_names: Usual names of a folder of examples beside one of their targets.
        value_columns: Usual names of table columns that hold the examples themselves, in lower
            case; none for examples that need a file each.
        reads_folders: Whether a folder of files may be one example; see `joins`.
        values: What `encode_value` accepts, for messages.
        record_features: Kind of record files (`tfrecord`, `tfds`) -> usual feature of an example;
            and `tfrecord_label` -> usual feature of its label.
        layouts: Layouts of annotated examples by name, each the path of a module's function that
            reads it: from the path of the data, and the folder of the files or None, to
            `Annotations`. `find_layout` detects them.
        augmentations: Presets by name, each a function that makes an `Augmentation`, or None if
            the preset changes nothing.
        reading_settings: Settings that decide which files are accepted. All others decide how
            files are decoded, and stay with a trained model.
        baselines: Name -> baseline, a model that is learned in seconds without the backbone, to
            compare a trained model with.
        most_different_bits: Number of bits by which the `likeness` of near duplicates may differ.
        companions: Kinds of dense targets, from `kft.tasks.COMPANIONS`, that its decoder and its
            augmentations move with an example: they are a `PlacingDecoder` and
            `MovingAugmentation`s.
    """

    name: ClassVar[str]
    noun: ClassVar[str]
    nouns: ClassVar[str]
    settings: ClassVar[type[ModalityConfig]]
    input_spec: ClassVar[type[InputSpec]]
    default_backbone: ClassVar[str | None] = None
    endings: ClassVar[tuple[str, ...]]
    signatures: ClassVar[Mapping[bytes, str]] = {}
    folder_names: ClassVar[tuple[str, ...]] = ("examples",)
    value_columns: ClassVar[tuple[str, ...]] = ()
    reads_folders: ClassVar[bool] = False
    values: ClassVar[str] = "the path of a file or folder, or bytes as a file holds them"
    record_features: ClassVar[Mapping[str, str]] = {}
    layouts: ClassVar[Registry] = Registry("layout of annotations", {})
    augmentations: ClassVar[Registry] = Registry(
        "augmentation", {"none": "kft.modalities.model_input:make_no_augmentation"}
    )
    reading_settings: ClassVar[frozenset[str]] = frozenset()
    baselines: ClassVar[Mapping[str, Baseline]] = {}
    most_different_bits: ClassVar[int] = 0
    companions: ClassVar[tuple[str, ...]] = ()

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

    def joins(self, names: Sequence[str]) -> bool:
        """Tell whether the files of a folder, given by their names, are one example together."""
        return False

    def read_joined(self, folder: str, settings: Any) -> bytes:
        """Read a folder as one example, in the form of a file that `check` takes.

        Raises:
            UnusableError: The folder is no example, or too large for one.
        """
        raise UnusableError("a folder, pipe or device, not a file")

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

    def find_layout(self, path: Path) -> str | None:
        """Find the layout of annotations at a path; None if there is none."""
        return None

    def read_outlines(self, path: Path) -> tuple[tuple[str, ...], Sequence[Outlined]]:
        """Read a file of outlines of objects, and draw a mask of each example.

        Returns:
            Names of the classes, and the examples with their masks.

        Raises:
            AnnotationError: The file has another form, or examples have no outlines.
        """
        raise AnnotationError(f"{path}: {self.nouns} have no outlines.")

    def find_size(self, path: str) -> tuple[float, float] | None:
        """Find the width and height of the upright example in a file, by its header.

        Returns:
            The size; None if it cannot be read, or if examples have no width and height.
        """
        return None

    def encode_value(self, value: Any) -> tuple[bytes, ...] | None:
        """Encode an example in memory, such as an array, as a file would hold it.

        Args:
            value: Value from Python. A `str` comes only if `value_columns` says that examples
                may be texts; otherwise strings name files.

        Returns:
            Content of each example, several for a batch; None if the value is none of this
            modality.

        Raises:
            UnusableError: The value is nearly one; it says what was found and what is allowed.
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

    def check_target(
        self, file: FileContent, checked: Any, settings: MasksConfig, options: CheckOptions
    ) -> CheckedTarget:
        """Check the file with the dense target of an example, and convert it if necessary.

        Args:
            file: Content of the file.
            checked: Result of `check` of the example.
            settings: The `data.masks` section.
            options: Thoroughness of the check, with the names of the classes.

        Raises:
            UnusableError: The file is not the target of this example; it says why.
        """
        raise UnusableError(f"{self.nouns} have no targets in files")

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

    def suppose_spec(self, spec: Any, settings: Any) -> Any:
        """Complete the input of a backbone by a usual size, for a benchmark, which reads no data.

        Args:
            spec: Input of the backbone.
            settings: Settings of the modality, which may state the size.
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

    def make_augmentation(self, preset: str, settings: Any = None) -> Augmentation | None:
        """Make the augmentation of a preset under the settings; None if it changes nothing.

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
