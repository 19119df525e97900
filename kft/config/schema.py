"""The typed pipeline, whose sections hold every default of kft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.fields import FieldInfo

from kft.config.data_section import DataConfig
from kft.config.modality_sections import ModalityConfig
from kft.config.section import Folder, FolderName, Fraction, Option, PositiveInt, Section, one_of
from kft.config.strategy_section import StrategyConfig
from kft.config.training_section import TrainingConfig
from kft.errors import ConfigError
from kft.task_names import TASKS

if TYPE_CHECKING:
    TaskName = str
else:
    TaskName = one_of(lambda: TASKS)


PRETRAINED = "pretrained"
"""The value of `backbone.weights` for published weights, or those of a saved backbone."""


class BackboneConfig(Section):
    """The pretrained trunk."""

    name: str = "auto"
    """A name of `kft backbones`, `hub:HANDLE`, `keras_hub:PRESET`, a path; `auto`: by modality."""
    weights: str = PRETRAINED
    """`pretrained`, `random`, or a weights file; saved and hub backbones have their own weights."""
    input_size: Annotated[int, Field(ge=16, le=2048)] | None = None
    """Height and width in pixels, or number of tokens; by default that of pretraining."""
    options: dict[str, Option] = Field(default_factory=dict)
    """Arguments of the architecture, such as `alpha: 0.35` for MobileNet."""
    trust: bool = False
    """Accept a legacy .h5 file whose digest kft does not know."""

    @field_validator("weights")
    @classmethod
    def _weights_have_their_new_name(cls, weights: str) -> str:
        if weights == "imagenet":
            raise ValueError(
                f"found 'imagenet'. Published weights of every modality are called {PRETRAINED!r} "
                "now, the default. Remove the setting"
            )
        return weights


class HeadConfig(Section):
    """The head: the layers after the backbone that solve the task."""

    name: TaskName = "auto"
    """`auto` follows the targets: classes, labels, numbers or masks."""
    pooling: Literal["avg", "max", "avg_max"] = "avg"
    """Pooling of the feature map to a feature vector."""
    hidden: tuple[PositiveInt, ...] = ()
    """Number of units of each hidden layer between the feature vector and the output."""
    dropout: Fraction = 0.0
    """Dropout rate in training, before each layer of the head."""
    decoder: Literal["lraspp", "unet", "deeplab", "linear"] = "lraspp"
    """Layers from feature maps to masks; a `linear` decoder of one layer can be solved for."""


class FeaturesConfig(Section):
    """The store of features, which holds the outputs of a model's frozen part."""

    enabled: bool = True
    """Store the outputs of a phase's frozen part, instead of computing them in every step."""
    views: Annotated[int, Field(ge=0, le=1000)] = 4
    """Augmented views of each example to store, cycled over the epochs; 0 for none."""
    augmented_prefix: Literal["refuse", "compute"] = "refuse"
    """With augmentation and `views` 0: refuse to run, or compute the frozen part in each step."""
    dtype: Literal["auto", "float32", "float16"] = "auto"
    """Type of stored numbers; `auto`: float16 for large feature maps if rounding is harmless."""
    engine: Literal["auto", "keras", "litert", "openvino"] = "auto"
    """Engine that computes the features; `auto`: LiteRT for many examples, otherwise Keras."""
    limit_gigabytes: Annotated[float, Field(gt=0.0)] = 20.0
    """Size limit of the cache folder; the least recently used entries are removed."""


class ExportConfig(Section):
    """The export as a SavedModel."""

    enabled: bool = True
    """Export after training."""
    directory: Folder = "saved_models"
    """Exports go to DIRECTORY/NAME/VERSION."""
    next_version: Literal["same", "any"] = "same"
    """Models allowed as the next version: `same` classes and data set as the current, or `any`."""
    parity_examples: PositiveInt = 32
    """Number of holdout files in the parity check of an export."""


class AbstainConfig(Section):
    """When the export says that it is not sure."""

    error: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    """Largest share of wrong answers among those that are sure; null for no such outputs."""


class DimensionConfig(Section):
    """Values that a search may try for one setting: a list or a range."""

    values: tuple[Option, ...] = ()
    """The values to choose from."""
    low: int | float | None = None
    """Lowest value of a range; whole numbers at both ends make a range of whole numbers."""
    high: int | float | None = None
    """Highest value of a range."""
    scale: Literal["linear", "log"] = "log"
    """Scale of a range; `log` suits learning rates."""

    @model_validator(mode="after")
    def _values_or_range(self) -> DimensionConfig:
        if len({_kind_of(value) for value in self.values}) > 1:
            raise ValueError(f"values {list(self.values)} mix strings, numbers and booleans")
        has_range = self.low is not None and self.high is not None
        if bool(self.values) == has_range or (self.low is None) != (self.high is None):
            raise ValueError("give either `values`, or both `low` and `high`")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError(f"low must be below high, found {self.low} and {self.high}")
            if self.scale == "log" and self.low <= 0:
                raise ValueError(f"low must be above 0 on a log scale, found {self.low}")
        return self


def _kind_of(value: Option) -> str:
    """Classify a value as 'number', 'boolean' or 'string'."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


class TuningConfig(Section):
    """The search of `kft tune`."""

    space: dict[str, DimensionConfig] = Field(
        default_factory=lambda: {"strategy.learning_rate": DimensionConfig(low=1e-4, high=3e-3)}
    )
    """Values to try for each setting, by its path."""
    trials: PositiveInt = 8
    """Number of pipelines to train."""
    oracle: Literal["bayesian", "random", "grid"] = "bayesian"
    """Algorithm that proposes the next trial."""


class Pipeline(Section):
    """Everything a run depends on."""

    name: FolderName = "pipeline"
    """Name of the runs and of the export; by default the name of the data folder."""
    data: DataConfig = DataConfig()
    backbone: BackboneConfig = BackboneConfig()
    head: HeadConfig = HeadConfig()
    features: FeaturesConfig = FeaturesConfig()
    strategy: StrategyConfig = StrategyConfig()
    training: TrainingConfig = TrainingConfig()
    export: ExportConfig = ExportConfig()
    abstain: AbstainConfig = AbstainConfig()
    tuning: TuningConfig = TuningConfig()
    runs_directory: Folder = "runs"
    """Runs go to RUNS_DIRECTORY/NAME/RUN_ID."""

    @property
    def output_folders(self) -> tuple[str, str]:
        """Folders that kft writes to; they are not data even inside the data folder."""
        return (self.runs_directory, self.export.directory)

    @model_validator(mode="after")
    def _service_promises_no_order(self) -> Pipeline:
        if self.data.service is not None and self.training.deterministic:
            raise ValueError(
                "data.service: a tf.data service guarantees no order of its batches, so "
                "training.deterministic=true is impossible. Set "
                "training.deterministic=false, or remove data.service"
            )
        return self


def add_modality_section(name: str, section: type[ModalityConfig]) -> None:
    """Give the `data` section one more section, for a modality from outside of kft.

    Pipelines that were validated before lack it.

    Args:
        name: Of the modality, and of its section.
        section: Its settings, which all have defaults.

    Raises:
        ConfigError: `data` has a setting of this name.
    """
    if name in DataConfig.model_fields:
        raise ConfigError(f"modality {name!r}: data.{name} is a setting already. Choose another.")
    DataConfig.model_fields[name] = FieldInfo(annotation=section, default=section())
    DataConfig.model_rebuild(force=True)
    Pipeline.model_fields["data"].default = DataConfig()
    Pipeline.model_rebuild(force=True)


_PRETRAINING = (
    "backbone.weights=random",
    "strategy.name=full",
    "export.enabled=false",
)
PRETRAINING_OVERRIDES = (
    *_PRETRAINING,
    "backbone.name=small_cnn",
    "strategy.learning_rate=3e-3",
    "strategy.duration=30 epochs",
)
"""Settings of `kft pretrain`, which a user's overrides may change."""
UNLABELLED_OVERRIDES = (
    *_PRETRAINING,
    "backbone.name=small_transformer",
    "strategy.learning_rate=1e-3",
    "strategy.duration=10 epochs",
)
"""Settings of `kft pretrain` on texts without labels, which a user's overrides may change."""
