"""The typed pipeline. Every default of kft is here or in a section that this file imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from kft.config.section import (
    Augmentation,
    ClassName,
    Folder,
    FolderName,
    Fraction,
    Name,
    Option,
    PositiveInt,
    Section,
    one_of,
)
from kft.config.service_address import split_address
from kft.config.split_section import SplitConfig, refuse_split_problems
from kft.config.strategy_section import StrategyConfig
from kft.config.training_section import TrainingConfig
from kft.task_names import TASKS, list_target_words

if TYPE_CHECKING:
    TargetWord = str
    TaskName = str
else:
    TargetWord = one_of(list_target_words)
    TaskName = one_of(lambda: TASKS)


class FoldersConfig(Section):
    """Which folder above the class folders is which split, where names alone do not say."""

    train: Name | None = None
    """Folder of the training examples; by default `train` or `training`, if there is one."""
    validation: Name | None = None
    """Folder of the validation examples; by default `validation`, `valid`, `val` or `dev`."""
    holdout: Name | None = None
    """Folder of the holdout examples; by default `holdout`, `test` or `testing`."""
    outside: tuple[Name, ...] = ()
    """Folders beside the data folder that links in it may lead into."""
    nested: Literal["auto", "pool"] = "auto"
    """Folders in class folders are pooled; `auto` refuses where several classes hold the same."""


class TableConfig(Section):
    """Columns of a CSV, TSV or Parquet file that lists the examples."""

    path_column: Name | None = None
    """Image paths, relative to `folder`; by default `path`, `file` or `filename`."""
    folder: Name | None = None
    """Where relative paths start, itself relative to the table's folder, which is the default."""
    ending: Annotated[str, Field(pattern=r"^\.[\w.]+$")] | None = None
    """What paths lack at their end, such as `.jpg`; added where they do not end in it."""
    remove_prefix: Annotated[str, Field(min_length=1)] | None = None
    """Beginning of paths to leave out, such as a folder of another machine: `/kaggle/input/`."""
    label_columns: tuple[Name, ...] = ()
    """One for classes, several for labels or numbers; by default `label` or `class`."""
    split_column: Name | None = None
    """Column that says train, validation or holdout; without it the examples are split by kft."""
    outside: tuple[Name, ...] = ()
    """Folders beside the table's own that its paths, or links among them, may lead into."""


class RecordConfig(Section):
    """Features of TFRecord files, or of a TensorFlow Datasets entry."""

    image_feature: Name | None = None
    """Holds the encoded image; by default `image/encoded` in TFRecord, `image` in TFDS."""
    label_feature: Name | None = None
    """Holds the label; by default `image/class/label` in TFRecord, `label` in TFDS."""
    class_names: tuple[ClassName, ...] = ()
    """Names of the classes by their index; TFRecord files do not hold them."""


class DataConfig(Section):
    """Where the labelled examples are, and how they become train, validation and holdout."""

    path: Name | None = None
    """A folder, a CSV, TSV or Parquet file, a folder or glob of TFRecord files, or `tfds:NAME`."""
    source: Literal["auto", "folder", "table", "tfds", "tfrecord"] = "auto"
    """What `path` is; `auto` looks."""
    target: TargetWord = "auto"
    """What a label is: one class of several, any number of labels, or numbers."""
    folders: FoldersConfig = FoldersConfig()
    table: TableConfig = TableConfig()
    records: RecordConfig = RecordConfig()
    split: SplitConfig = SplitConfig()
    class_aliases: dict[ClassName, ClassName] = Field(default_factory=dict)
    """Label -> the class that is meant by it: `{Cat: cat}` joins the two."""
    similar_classes: Literal["refuse", "keep"] = "refuse"
    """Classes that differ in case, spaces, or signs that nobody sees: refused, or kept apart."""
    on_bad: Literal["quarantine", "stop"] = "quarantine"
    """What to do with files that cannot be used: leave them out, by name, or refuse to go on."""
    background: Literal["white", "black"] = "white"
    """What shows through the transparent parts of a picture."""
    depth: Literal["auto"] | Annotated[int, Field(ge=8, le=16)] = "auto"
    """Bits of pictures of more than 8: 12 makes 4095 white. `auto`: headers, else all samples."""
    max_megapixels: Annotated[float, Field(gt=0.0, le=1000.0)] = 100.0
    """Larger pictures are not decoded: their memory is known from their header."""
    validation: Fraction = 0.2
    """Share of the examples for validation, where no validation split is given; 0 for none."""
    holdout: Fraction = 0.2
    """Share of the examples for the holdout, where no holdout split is given; 0 for none."""
    split_seed: int = 0
    """Seed of the split, apart from that of training, so that seeds compare on one split."""
    resize: Literal["stretch", "crop", "pad"] = "stretch"
    """How a picture becomes square: stretched, its centre cropped, or padded with black."""
    augmentation: Augmentation = "light"
    """Random changes of training pictures; `kft data PHOTOS --show-augmented` draws them."""
    cache: Literal["auto", "memory", "disk", "none"] = "auto"
    """Keep decoded pictures; `auto`: in memory up to `cache_megabytes`, beyond that on the disk."""
    cache_megabytes: PositiveInt = 2048
    """Memory in megabytes that `cache: auto` may take."""
    service: str | None = None
    """Address of a tf.data service, `HOST:PORT`, that makes the batches of training pictures."""

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
                f"cache {self.cache!r} keeps pictures that this process decodes, but with service "
                "others decode the training pictures, each time anew. Use cache 'auto' or 'none', "
                "or no service"
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


class BackboneConfig(Section):
    """The pretrained trunk."""

    name: str = "mobilenet_v2"
    """A name of `kft backbones`, `hub:HANDLE`, `keras_hub:PRESET`, or a saved backbone's path."""
    weights: str = "imagenet"
    """`imagenet`, `random`, or a weights file. A saved or hub backbone brings its own."""
    input_size: Annotated[int, Field(ge=16, le=2048)] | None = None
    """Height and width in pixels; by default the size the backbone was pretrained at."""
    options: dict[str, Option] = Field(default_factory=dict)
    """Arguments of the architecture, such as `alpha: 0.35` for MobileNet."""
    trust: bool = False
    """Accept a legacy .h5 file whose digest kft does not know."""


class HeadConfig(Section):
    """The layers that answer the task."""

    name: TaskName = "auto"
    """`auto` follows the targets: classes, labels or numbers."""
    pooling: Literal["avg", "max", "avg_max"] = "avg"
    """How a feature map becomes a feature vector."""
    hidden: tuple[PositiveInt, ...] = ()
    """Units of hidden layers between the feature vector and the output."""
    dropout: Fraction = 0.0
    """Share of the feature vector dropped in training, before each layer of the head."""


class FeaturesConfig(Section):
    """The frozen part of a model, which is computed once and stored."""

    enabled: bool = True
    """Store the activations where a phase's frozen part ends; else compute them in every step."""
    views: Annotated[int, Field(ge=0, le=1000)] = 4
    """Augmented views of each example to store, cycled over the epochs; 0 for none."""
    without_views: Literal["refuse", "compute"] = "refuse"
    """What to do with a frozen part under augmentation where `views` is 0."""
    dtype: Literal["auto", "float32", "float16"] = "auto"
    """Of the stored numbers; `auto` halves large feature maps where rounding hardly shows."""
    engine: Literal["auto", "keras", "litert", "openvino"] = "auto"
    """What computes them; `auto`: LiteRT where there are many examples, else Keras."""
    limit_gigabytes: Annotated[float, Field(gt=0.0)] = 20.0
    """Size of the cache folder; what was used least recently makes room."""


class ExportConfig(Section):
    """The SavedModel."""

    enabled: bool = True
    """Export after training."""
    directory: Folder = "saved_models"
    """Exports go to DIRECTORY/NAME/VERSION."""
    next_version: Literal["same", "any"] = "same"
    """What may follow the present version: `same`, of its classes and data set; or `any`."""
    parity_examples: PositiveInt = 32
    """How many files of the holdout the parity check feeds to the export."""


class DimensionConfig(Section):
    """What a search may try for one setting: a list of values, or a range."""

    values: tuple[Option, ...] = ()
    """The values to choose from."""
    low: int | float | None = None
    """Least value of a range; whole numbers at both ends make a range of whole numbers."""
    high: int | float | None = None
    """Greatest value of a range."""
    scale: Literal["linear", "log"] = "log"
    """How a range is walked; `log` for rates."""

    @model_validator(mode="after")
    def _values_or_range(self) -> DimensionConfig:
        if len({_kind_of(value) for value in self.values}) > 1:
            raise ValueError(f"values {list(self.values)} mix words, numbers and truth values")
        has_range = self.low is not None and self.high is not None
        if bool(self.values) == has_range or (self.low is None) != (self.high is None):
            raise ValueError("give either `values`, or both `low` and `high`")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError(f"low {self.low} must be below high {self.high}")
            if self.scale == "log" and self.low <= 0:
                raise ValueError(f"a log range starts above 0, not at {self.low}")
        return self


def _kind_of(value: Option) -> str:
    """'number', 'truth value' or 'word'."""
    if isinstance(value, bool):
        return "truth value"
    return "word" if isinstance(value, str) else "number"


class TuningConfig(Section):
    """The search of `kft tune`."""

    space: dict[str, DimensionConfig] = Field(
        default_factory=lambda: {"strategy.learning_rate": DimensionConfig(low=1e-4, high=3e-3)}
    )
    """Path of a setting -> what to try for it."""
    trials: PositiveInt = 8
    """How many pipelines are trained."""
    oracle: Literal["bayesian", "random", "grid"] = "bayesian"
    """Who proposes the next trial."""


class Pipeline(Section):
    """Everything a run depends on."""

    name: FolderName = "pipeline"
    """Name of the runs and of the export; by default that of the data folder."""
    data: DataConfig = DataConfig()
    backbone: BackboneConfig = BackboneConfig()
    head: HeadConfig = HeadConfig()
    features: FeaturesConfig = FeaturesConfig()
    strategy: StrategyConfig = StrategyConfig()
    training: TrainingConfig = TrainingConfig()
    export: ExportConfig = ExportConfig()
    tuning: TuningConfig = TuningConfig()
    runs_directory: Folder = "runs"
    """Runs go to RUNS_DIRECTORY/NAME/RUN_ID."""

    @property
    def output_folders(self) -> tuple[str, str]:
        """Folders that kft writes to, which are no data where they lie in the data folder."""
        return (self.runs_directory, self.export.directory)

    @model_validator(mode="after")
    def _service_promises_no_order(self) -> Pipeline:
        if self.data.service is not None and self.training.deterministic:
            raise ValueError(
                "data.service: the batches of a tf.data service arrive in an order that nobody "
                "promises, so that training.deterministic=true cannot hold. Set "
                "training.deterministic=false, or remove data.service"
            )
        return self


PRETRAINING_OVERRIDES = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "strategy.name=full",
    "strategy.learning_rate=3e-3",
    "strategy.duration=30 epochs",
    "export.enabled=false",
)
"""What `kft pretrain` sets before a user's own overrides."""
