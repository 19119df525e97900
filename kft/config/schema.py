"""The typed pipeline. Every default of kft is here or in a section that this file imports."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from kft.config.section import (
    ClassName,
    Duration,
    Folder,
    Fraction,
    Name,
    Option,
    PositiveInt,
    Section,
    read_name,
)
from kft.config.service_address import split_address
from kft.config.split_section import SplitConfig, refuse_split_problems
from kft.config.training_section import TrainingConfig

Augmentation = Literal[
    "none", "light", "medium", "strong", "trivial_augment", "rand_augment", "aug_mix"
]
# What may become the name of a folder: no separators, and no way out of the one above.
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
FolderName = Annotated[str, Field(pattern=NAME_PATTERN), BeforeValidator(read_name)]


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
    target: Literal["auto", "class", "labels", "number"] = "auto"
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

    name: Literal["auto", "classification", "multilabel", "regression"] = "auto"
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


class LoraConfig(Section):
    """Low-rank adaptation."""

    rank: PositiveInt = 8
    """Inner dimension of the two factors."""
    alpha: Annotated[float, Field(gt=0.0)] = 16.0
    """The product of the factors counts alpha / rank times."""
    layers: str = ".*"
    """Regular expression for the names of the layers that get one; those of `kft check`."""


class PhaseConfig(Section):
    """One phase of an explicit strategy."""

    name: FolderName = "phase"
    """Name of the phase in the run."""
    trainable: Annotated[tuple[Name, ...], Field(min_length=1)] = ("head",)
    """Blocks that train: names as `kft backbones NAME` prints them, `head`, `backbone` or `all`."""
    part: Literal["all", "bias_norm"] = "all"
    """Which weights of these blocks: all, or biases and normalisation alone (BitFit)."""
    lora: LoraConfig | None = None
    """Train low-rank factors of the backbone's kernels in place of the kernels."""
    method: Literal["fit", "solve"] = "fit"
    """`solve` finds the optimum of a linear head on the stored features, without steps."""
    batch_norm: Literal["frozen", "trainable"] = "frozen"
    """Whether the batch statistics of trainable blocks keep their pretrained values."""
    learning_rate: Annotated[float, Field(gt=0.0)] = 3e-4
    """Peak learning rate."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] = 1.0
    """Factor on the rate from one trainable block to the next one toward the input."""
    multipliers: dict[Name, Annotated[float, Field(gt=0.0)]] = Field(default_factory=dict)
    """Factor on the learning rate of a block, beside `layer_decay`."""
    duration: Duration = "10 epochs"
    """`10 epochs`, `500 steps`, `20000 examples`, `50 percent` of `strategy.duration`."""
    augmentation: Augmentation | None = None
    """Augmentation of this phase; by default that of `data.augmentation`."""
    weight_decay: Annotated[float, Field(ge=0.0)] | None = None
    """Decoupled weight decay; by default that of `training.weight_decay`."""


class StrategyConfig(Section):
    """Which blocks train, when, and how fast."""

    name: Literal[
        "auto",
        "linear_probe",
        "top_k",
        "full",
        "lp_ft",
        "gradual",
        "surgical",
        "lora",
        "bitfit",
        "phases",
    ] = "auto"
    """`auto`: a solved probe, then fine-tuning from it if that is better. Others: the guide."""
    phases: tuple[PhaseConfig, ...] = ()
    """The phases of `name: phases`, in order."""
    probe: Literal["auto", "solved", "trained"] = "auto"
    """How a linear probe is found; `auto` solves it, but for heads with hidden layers."""
    probe_learning_rate: Annotated[float, Field(gt=0.0)] = 3e-3
    """Peak learning rate of a trained probe."""
    probe_duration: Duration = "60 epochs"
    """Length of a trained probe; its backbone is computed once, so epochs cost little."""
    learning_rate: Annotated[float, Field(gt=0.0)] | None = None
    """Peak rate of fine-tuning; by default the strategy's own (`auto` finds it on validation)."""
    duration: Duration | None = None
    """Length of fine-tuning in all; by default BiT's steps, 500 to 20,000, at most 12 epochs."""
    layer_decay: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Factor on the rate from a block to the next one toward the input; by default by strategy."""
    batch_norm: Literal["auto", "frozen", "trainable"] = "auto"
    """Batch statistics in fine-tuning; `auto` freezes those of a pretrained backbone."""
    top_blocks: PositiveInt = 1
    """How many of the deepest blocks `top_k` trains."""
    block: Name = "best"
    """The block that `surgical` trains; `best` tries each on validation."""
    lora: LoraConfig = LoraConfig()
    """The factors of `lora`."""
    freeze: Literal["auto"] | tuple[Name, ...] = "auto"
    """Blocks that rest while `auto` fine-tunes; by default the lowest ones, `[]` for none."""
    refit: Literal["auto"] | bool = "auto"
    """Whether what `auto` chose on validation learns from train and validation in the end."""

    @model_validator(mode="after")
    def _phases_go_with_their_name(self) -> StrategyConfig:
        if self.name == "phases" and not self.phases:
            raise ValueError("name 'phases' needs at least one entry under `phases`")
        if self.name != "phases" and self.phases:
            raise ValueError(
                f"`phases` is given, but name is {self.name!r}; write `name: phases` to use them"
            )
        return self


LEARNING_RATES = {
    "top_k": 1e-3,
    "full": 3e-4,
    "lp_ft": 3e-4,
    "gradual": 3e-4,
    "surgical": 1e-3,
    "lora": 1e-3,
    "bitfit": 1e-2,
}
"""Peak rate of each strategy where none is given."""

AUTO_LEARNING_RATES = (1e-3, 3e-4, 1e-4)
"""What `strategy: auto` tries on validation, in this order."""


class ExportConfig(Section):
    """The SavedModel."""

    enabled: bool = True
    """Export after training."""
    directory: Folder = "saved_models"
    """Exports go to DIRECTORY/NAME/VERSION."""
    next_version: Literal["same", "any"] = "same"
    """What may follow the present version: `same`, of its classes and data set; or `any`."""
    parity_examples: PositiveInt = 32
    """How many files of the holdout the parity gate feeds to the export."""


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
