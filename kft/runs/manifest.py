"""The part of a run's manifest that describes the process: versions, hardware, command, commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

RECORDED_PACKAGES = ("kft", "tensorflow", "keras", "numpy", "scikit-learn", "tensorflow-hub")


def describe_process() -> dict[str, Any]:
    """Describe this process as JSON values: versions, hardware, command, folder and commit."""
    return {
        "versions": package_versions(),
        "hardware": {
            "machine": platform.machine(),
            "system": platform.platform(),
            "cpus": os.cpu_count(),
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
