"""The section `data`: where the examples are, how they are read and split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from kft.config.mask_section import MasksConfig
from kft.config.modality_sections import (
    AudioConfig,
    ImageConfig,
    ModalityConfig,
    TextConfig,
    VideoConfig,
)
from kft.config.section import ClassName, Fraction, Name, PositiveInt, Section, one_of
from kft.config.service_address import split_address
from kft.config.split_section import SplitConfig, refuse_split_problems
from kft.registry import suggest
from kft.task_names import list_target_words

if TYPE_CHECKING:
    TargetWord = str
else:
    TargetWord = one_of(list_target_words)


class FoldersConfig(Section):
    """Folders of the splits above the class folders, if they do not have the usual names."""

    train: Name | None = None
    """Folder of the training examples; by default `train` or `training`, if there is one."""
    validation: Name | None = None
    """Folder of the validation examples; by default `validation`, `valid`, `val` or `dev`."""
    holdout: Name | None = None
    """Folder of the holdout examples; by default `holdout`, `test` or `testing`."""
    allowed_roots: tuple[Name, ...] = ()
    """Folders outside the data folder that links in it may point to."""
    nested: Literal["auto", "pool"] = "auto"
    """Subfolders of a class are pooled; `auto` refuses if several classes have the same ones."""


class TableConfig(Section):
    """Columns of a CSV, TSV, Parquet or JSON Lines file that lists or holds the examples."""

    text_columns: tuple[Name, ...] = ()
    """Columns of text, if the table holds the examples itself; several are joined."""
    separator: str = "\n"
    """Separator between the texts of several columns."""

    path_column: Name | None = None
    """Paths of files, relative to `folder`; by default `path`, `file` or `filename`."""
    folder: Name | None = None
    """Folder that paths are relative to; itself relative to the table's folder, the default."""
    ending: Annotated[str, Field(pattern=r"^\.[\w.]+$")] | None = None
    """File ending that paths lack, such as `.jpg`; added to paths that do not end in it."""
    remove_prefix: Annotated[str, Field(min_length=1)] | None = None
    """Prefix to remove from paths, such as a folder of another machine: `/kaggle/input/`."""
    label_columns: tuple[Name, ...] = ()
    """One column for classes, several for labels or numbers; by default `label` or `class`."""
    split_column: Name | None = None
    """Column that says train, validation or holdout; without it, kft splits the examples."""
    allowed_roots: tuple[Name, ...] = ()
    """Folders outside the table's folder that its paths, or links among them, may point to."""


class RecordConfig(Section):
    """Features of TFRecord files, or of a TensorFlow Datasets entry."""

    input_feature: Name | None = None
    """Feature of the encoded example; by default `image/encoded` in TFRecord, `image` in TFDS."""
    label_feature: Name | None = None
    """Feature of the label; by default `image/class/label` in TFRecord, `label` in TFDS."""
    class_names: tuple[ClassName, ...] = ()
    """Class names in the order of their indices; TFRecord files do not hold them."""


class BoxesConfig(Section):
    """Files that annotations of boxes are about."""

    folder: Name | None = None
    """Folder that file names start from; by default the usual one of the layout."""
    units: Literal["pixels", "fractions"] = "pixels"
    """Units of a table's sides: pixels of the upright picture, or fractions of its size."""
    allowed_roots: tuple[Name, ...] = ()
    """Folders outside the data folder that file names, or links, may point to."""


class DataConfig(Section):
    """The labelled examples, and their split into train, validation and holdout."""

    path: Name | None = None
    """A folder, a table, boxes (Pascal VOC, COCO, YOLO), masks, TFRecord files, or `tfds:NAME`."""
    source: Literal[
        "auto",
        "box_table",
        "coco",
        "folder",
        "mask_table",
        "masks",
        "outlines",
        "table",
        "tfds",
        "tfrecord",
        "voc",
        "yolo",
    ] = "auto"
    """Kind of the data at `path`; `auto` detects it."""
    modality: str = "auto"
    """Modality of the examples, such as `image`; `auto` detects it by the file endings."""
    target: TargetWord = "auto"
    """Kind of target: one of several classes, any number of labels, numbers, boxes, or masks."""
    folders: FoldersConfig = FoldersConfig()
    table: TableConfig = TableConfig()
    boxes: BoxesConfig = BoxesConfig()
    records: RecordConfig = RecordConfig()
    masks: MasksConfig = MasksConfig()
    split: SplitConfig = SplitConfig()
    class_aliases: dict[ClassName, ClassName] = Field(default_factory=dict)
    """Class that each label stands for: `{Cat: cat}` joins the two."""
    similar_classes: Literal["refuse", "keep"] = "refuse"
    """Classes that differ only in case, spaces or invisible characters: refuse or keep them."""
    on_invalid_file: Literal["quarantine", "stop"] = "quarantine"
    """Files that cannot be used: `quarantine` leaves them out and names them, `stop` refuses."""
    validation: Fraction = 0.2
    """Share of the examples for validation, if no validation split is given; 0 for none."""
    holdout: Fraction = 0.2
    """Share of the examples for the holdout, if no holdout split is given; 0 for none."""
    split_seed: int = 0
    """Seed of the split, separate from the seed of training, which can vary on one split."""
    image: ImageConfig = ImageConfig()
    text: TextConfig = TextConfig()
    audio: AudioConfig = AudioConfig()
    video: VideoConfig = VideoConfig()
    cache: Literal["auto", "memory", "disk", "none"] = "auto"
    """Where to keep decoded examples; `auto`: in memory up to `cache_megabytes`, then on disk."""
    cache_megabytes: PositiveInt = 2048
    """Memory limit of `cache: auto` in megabytes."""
    service: str | None = None
    """Address `HOST:PORT` of a tf.data service that makes the batches of training examples."""

    @field_validator("modality")
    @classmethod
    def _modality_is_known(cls, modality: str) -> str:
        if modality != "auto" and modality not in list_modalities():
            raise ValueError(
                f"found {modality!r}. {suggest(modality, ('auto', *list_modalities()))}"
            )
        return modality

    @field_validator("service")
    @classmethod
    def _service_is_an_address(cls, service: str | None) -> str | None:
        if service is not None:
            split_address(service)
        return service

    @model_validator(mode="after")
    def _service_goes_with_the_cache(self) -> DataConfig:
        if self.service is not None and self.cache not in ("auto", "none"):
            raise ValueError(
                f"cache {self.cache!r} keeps examples that this process decodes, but with service "
                "other processes decode the training examples, every time. Use cache 'auto' or "
                "'none', or remove service"
            )
        return self

    @model_validator(mode="after")
    def _splits_can_be_made(self) -> DataConfig:
        refuse_split_problems(
            self.split,
            shares={"validation": self.validation, "holdout": self.holdout},
            source=self.source,
            validation_folder=self.folders.validation,
        )
        return self


def list_modalities() -> tuple[str, ...]:
    """Names of the modalities that have a section in `data`."""
    return tuple(
        name
        for name, field in DataConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, ModalityConfig)
    )
