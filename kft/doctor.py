"""Checks of this machine for `kft doctor`, each with a remedy."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kft.errors import StorageError
from kft.homes import keras_home
from kft.runs.caches import cache_root
from kft.runs.storage import find_obstacle

PYTHONS = ((3, 11), (3, 13))


@dataclass(frozen=True)
class CheckResult:
    """Result of one check.

    Attributes:
        name: Subject of the check.
        is_fine: Whether the subject can be used.
        text: What was found.
        remedy: Command or setting that solves the problem; empty if there is none.
        is_optional: Whether `kft train` works without it.
    """

    name: str
    is_fine: bool
    text: str
    remedy: str = ""
    is_optional: bool = False


def examine() -> list[CheckResult]:
    """Run all checks; the results are in order of importance."""
    return [_python(), *_packages(), *_devices(), *_folders(), *_weights()]


def _python() -> CheckResult:
    version = sys.version_info[:2]
    is_fine = PYTHONS[0] <= version <= PYTHONS[1]
    return CheckResult(
        "Python",
        is_fine,
        f"{sys.version.split()[0]} at {sys.executable}",
        "" if is_fine else "use Python 3.11, 3.12 or 3.13",
    )


def _packages() -> Iterator[CheckResult]:
    """Check every requirement in kft's metadata."""
    from packaging.requirements import Requirement

    try:
        declared = importlib.metadata.requires("kft") or []
    except importlib.metadata.PackageNotFoundError:
        yield CheckResult("kft", False, "runs from its source tree, not installed", "pip install .")
        return
    for line in declared:
        requirement = Requirement(line)
        extra = _extra_of(requirement)
        if extra == "dev" or (requirement.marker and not _applies(requirement, extra)):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        is_fine = version is not None and requirement.specifier.contains(version, True)
        remedy = f"pip install 'kft[{extra}]'" if extra else f"pip install '{_plain(requirement)}'"
        yield CheckResult(
            requirement.name,
            is_fine,
            version or "not installed",
            "" if is_fine else remedy,
            is_optional=bool(extra),
        )


def _extra_of(requirement: object) -> str:
    marker = str(getattr(requirement, "marker", None) or "")
    return marker.partition("extra ==")[2].strip().strip("\"'")


def _applies(requirement: object, extra: str) -> bool:
    marker = getattr(requirement, "marker")  # noqa: B009
    return bool(marker.evaluate({"extra": extra}))


def _plain(requirement: object) -> str:
    return str(requirement).partition(";")[0].strip()


def _devices() -> Iterator[CheckResult]:
    try:
        import tensorflow as tf
    except ImportError as error:
        yield CheckResult(
            "TensorFlow",
            False,
            f"does not import: {error}",
            "pip install --force-reinstall tensorflow",
        )
        return
    gpus = tf.config.list_physical_devices("GPU")
    yield CheckResult("CPU", True, f"{os.cpu_count()} cores")
    yield CheckResult(
        "GPU",
        bool(gpus),
        f"{len(gpus)} found" if gpus else "none found; kft trains on the CPU",
        "" if gpus else "for an NVIDIA GPU: pip install 'tensorflow[and-cuda]'",
        is_optional=True,
    )


def _folders() -> Iterator[CheckResult]:
    for name, find_folder, variable in (
        ("kft cache", cache_root, "KFT_CACHE_DIR"),
        ("Keras cache", keras_home, "KERAS_HOME"),
    ):
        remedy = f"export {variable}=/a/writable/folder"
        try:
            folder = find_folder()
        except StorageError as error:
            yield CheckResult(name, False, str(error), remedy)
            continue
        obstacle = find_obstacle(folder)
        if obstacle is not None:
            yield CheckResult(name, False, f"{folder} is not writable: {obstacle}", remedy)
            continue
        existing = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        free = shutil.disk_usage(existing).free / 1e9
        yield CheckResult(name, True, f"{folder}, {free:.1f} GB free")


def _weights() -> Iterator[CheckResult]:
    from kft.backbones.catalogue import list_backbones
    from kft.config import DEFAULT_MODALITY
    from kft.modalities import load_modality

    given = os.environ.get("KFT_WEIGHTS_DIR")
    if given and not Path(given).expanduser().is_dir():
        yield CheckResult(
            "KFT_WEIGHTS_DIR", False, f"{given} is not a folder", "unset KFT_WEIGHTS_DIR"
        )
    default = load_modality(DEFAULT_MODALITY).default_backbone
    offline = next(row for row in list_backbones() if row.name == default).weights
    yield CheckResult(
        f"{default} weights",
        bool(offline),
        f"on disk: {', '.join(offline)}"
        if offline
        else "not on disk; the first run downloads them",
        ""
        if offline
        else "without a network: export KFT_WEIGHTS_DIR=/folder/with/the/.h5, "
        "or backbone.weights=random",
        is_optional=True,
    )
