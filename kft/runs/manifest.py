"""What a run depended on: enough to repeat it, or to see why it differs."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

RECORDED_PACKAGES = ("kft", "tensorflow", "keras", "numpy", "scikit-learn", "tensorflow-hub")


def make_manifest(
    *,
    seed: int,
    deterministic: bool,
    fingerprint: str,
    calibration: dict[str, Any] | None = None,
    weights_sha256: str | None,
    backbone_source: str,
    backbone_licence: str,
    workers: int = 1,
    replicas: int = 1,
) -> dict[str, Any]:
    """Seed, versions, hardware, fingerprint of the data, digest of the weights, command, commit.

    Args:
        seed: Of the training.
        deterministic: Whether the seed decides the weights to the last bit.
        fingerprint: Of the data.
        calibration: What was decided over all its files; None where there was nothing to decide.
        weights_sha256: Of the pretrained weights; None for random ones.
        backbone_source: Where architecture and weights come from.
        backbone_licence: Of the weights.
        workers: Processes that train together.
        replicas: Of the model, in all of them.
    """
    return {
        "seed": seed,
        "deterministic": deterministic,
        "data_fingerprint": fingerprint,
        "calibration": calibration,
        "backbone": {
            "sha256": weights_sha256,
            "source": backbone_source,
            "licence": backbone_licence,
        },
        "versions": package_versions(),
        "hardware": {
            "machine": platform.machine(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
            "workers": workers,
            "replicas": replicas,
        },
        "command": sys.argv,
        # What relative paths in the run's pipeline start from.
        "working_directory": str(Path.cwd()),
        "git_commit": find_git_commit(),
    }


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    versions = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def find_git_commit() -> str | None:
    """Commit of the working directory, marked '-dirty' if it has changes; None outside git."""
    try:
        result = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--dirty"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip() or None
