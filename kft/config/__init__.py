"""The configuration of a run: reading and validation of a frozen `Pipeline`."""

from kft.config.data_section import (
    BoxesConfig,
    DataConfig,
    FoldersConfig,
    RecordConfig,
    TableConfig,
    list_modalities,
)
from kft.config.loading import (
    SCHEMA_COMMENT,
    dump_pipeline,
    format_schema,
    is_pipeline_file,
    load_pipeline,
    override_pipeline,
    parse_yaml,
    validate_pipeline,
)
from kft.config.mask_section import MasksConfig
from kft.config.modality_sections import (
    DEFAULT_MODALITY,
    AudioConfig,
    ImageConfig,
    ModalityConfig,
    TextConfig,
    VideoConfig,
)
from kft.config.schema import (
    PRETRAINED,
    PRETRAINING_OVERRIDES,
    UNLABELLED_OVERRIDES,
    BackboneConfig,
    ExportConfig,
    FeaturesConfig,
    HeadConfig,
    Pipeline,
    TuningConfig,
    add_modality_section,
)
from kft.config.split_section import SplitConfig
from kft.config.strategy_section import (
    AUTO_LEARNING_RATES,
    LEARNING_RATES,
    LoraConfig,
    PhaseConfig,
    StrategyConfig,
)
from kft.config.training_section import TrainingConfig

__all__ = [
    "AUTO_LEARNING_RATES",
    "DEFAULT_MODALITY",
    "LEARNING_RATES",
    "PRETRAINED",
    "PRETRAINING_OVERRIDES",
    "SCHEMA_COMMENT",
    "UNLABELLED_OVERRIDES",
    "AudioConfig",
    "BackboneConfig",
    "BoxesConfig",
    "DataConfig",
    "ExportConfig",
    "FeaturesConfig",
    "FoldersConfig",
    "HeadConfig",
    "ImageConfig",
    "LoraConfig",
    "MasksConfig",
    "ModalityConfig",
    "PhaseConfig",
    "Pipeline",
    "RecordConfig",
    "SplitConfig",
    "StrategyConfig",
    "TableConfig",
    "TextConfig",
    "TrainingConfig",
    "TuningConfig",
    "VideoConfig",
    "add_modality_section",
    "dump_pipeline",
    "format_schema",
    "is_pipeline_file",
    "list_modalities",
    "load_pipeline",
    "override_pipeline",
    "parse_yaml",
    "validate_pipeline",
]
