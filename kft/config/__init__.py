"""Text -> a frozen, validated `Pipeline`."""

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
from kft.config.schema import (
    PRETRAINING_OVERRIDES,
    BackboneConfig,
    DataConfig,
    ExportConfig,
    FoldersConfig,
    HeadConfig,
    PhaseConfig,
    Pipeline,
    StrategyConfig,
    TrainingConfig,
    TuningConfig,
)

__all__ = [
    "PRETRAINING_OVERRIDES",
    "SCHEMA_COMMENT",
    "BackboneConfig",
    "DataConfig",
    "ExportConfig",
    "FoldersConfig",
    "HeadConfig",
    "PhaseConfig",
    "Pipeline",
    "StrategyConfig",
    "TrainingConfig",
    "TuningConfig",
    "dump_pipeline",
    "format_schema",
    "is_pipeline_file",
    "load_pipeline",
    "override_pipeline",
    "parse_yaml",
    "validate_pipeline",
]
