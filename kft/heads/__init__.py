"""Targets -> layers, loss and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kft.config import HeadConfig
from kft.errors import ConfigError
from kft.registry import Registry

if TYPE_CHECKING:
    from kft.heads.base import Head

HEADS = Registry(
    "head",
    {
        "classification": "kft.heads.classification:ClassificationHead",
        "multilabel": "kft.heads.classification:MultilabelHead",
        "regression": "kft.heads.regression:RegressionHead",
    },
)


def make_head(
    config: HeadConfig, target_kind: str, class_names: tuple[str, ...], train_targets: np.ndarray
) -> Head:
    """The head that answers targets of this kind.

    Args:
        config: The pipeline's `head` section.
        target_kind: 'class', 'labels' or 'number'.
        class_names: Name of each output.
        train_targets: Targets of the training split; regression takes its units from them.

    Raises:
        ConfigError: The named head answers another kind of target.
    """
    kinds = {HEADS.load(name).target_kind: HEADS.load(name) for name in HEADS}
    head_class = kinds[target_kind] if config.name == "auto" else HEADS.load(config.name)
    if head_class.target_kind != target_kind:
        raise ConfigError(
            f"head.name: {config.name!r} answers targets of the kind {head_class.target_kind!r}, "
            f"but the data holds {target_kind!r}. Write `head.name=auto`, or set `data.target`."
        )
    units = head_class.fit_units(train_targets) if target_kind == "number" else {}
    return head_class(class_names=class_names, config=config, **units)


def restore_head(description: dict[str, Any]) -> Head:
    """The head that `Head.describe` described."""
    values = dict(description)
    head_class = HEADS.load(values.pop("name"))
    config = HeadConfig.model_validate(values.pop("config"))
    return head_class(config=config, **{key: tuple(value) for key, value in values.items()})


__all__ = ["HEADS", "make_head", "restore_head"]
