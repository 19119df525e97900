"""The manifest of a run: everything needed to repeat it, or to see why another one differs."""

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
    """Make the manifest: seed, versions, hardware, data, weights, command and commit.

    Args:
        seed: Seed of the training.
        deterministic: Whether the seed decides the weights to the last bit.
        fingerprint: Digest of the data.
        calibration: Decision over all files of the data; None where there was none.
        weights_sha256: Digest of the pretrained weights; None for random weights.
        backbone_source: Origin of architecture and weights.
        backbone_licence: Licence of the weights.
        workers: Number of processes that train together.
        replicas: Number of model replicas in all processes.
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
        # Relative paths in the run's pipeline start from here.
        "working_directory": str(Path.cwd()),
        "git_commit": find_git_commit(),
    }


def package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that affect the results."""
    versions = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def find_git_commit() -> str | None:
    """Find the commit of the working directory, '-dirty' if it has changes; None outside git."""
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
