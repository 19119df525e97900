"""kft fine-tunes pretrained models on a user's own data with Keras 3 and TensorFlow.

>>> import kft
>>> run = kft.train("photos", backbone="resnet50", strategy="lp_ft")
>>> run.metrics["accuracy"]

Importing kft loads neither TensorFlow nor Keras, which its modules load when they are used. After
the import, `keras.models.load_model` reads the models that kft saves.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from kft.saved_layers import announce_layers

# Keras chooses its backend from this variable when it is first imported.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
# Hides TensorFlow's C++ start-up notices, but not its errors.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

announce_layers()

__version__ = "0.1.0"

if TYPE_CHECKING:
    from kft.api.answers import Exported
    from kft.api.calls import audit, check, compare, load, load_backbone, pretrain, train
    from kft.api.reports import AuditReport, Check
    from kft.api.run import Run
    from kft.backbones import list_backbones, register_backbone
    from kft.errors import KftError
    from kft.modalities import register_modality
    from kft.task_names import register_task

__all__ = [
    "AuditReport",
    "Check",
    "Exported",
    "KftError",
    "Run",
    "audit",
    "check",
    "compare",
    "list_backbones",
    "load",
    "load_backbone",
    "pretrain",
    "register_backbone",
    "register_modality",
    "register_task",
    "train",
]
_PLACES = {
    "kft.api.answers": ("Exported",),
    "kft.api.calls": ("audit", "check", "compare", "load", "load_backbone", "pretrain", "train"),
    "kft.api.reports": ("AuditReport", "Check"),
    "kft.api.run": ("Run",),
    "kft.backbones": ("list_backbones", "register_backbone"),
    "kft.errors": ("KftError",),
    "kft.modalities": ("register_modality",),
    "kft.task_names": ("register_task",),
}
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name on its first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'kft' has no attribute {name!r}")
    # A plugin may use the functions that register when it is imported.
    if os.environ.get("KFT_PLUGINS") and not name.startswith("register_"):
        importlib.import_module("kft.plugins").load_plugins()
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    """List the public names too, for completion."""
    return sorted({*globals(), *__all__})
