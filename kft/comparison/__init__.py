"""Comparison of finished runs: figures side by side, what is beyond chance, and what differs."""

from __future__ import annotations

import os
from pathlib import Path

from kft.comparison.comparing import compare_runs
from kft.comparison.page import render_comparison
from kft.comparison.record import Comparison
from kft.errors import ConfigError
from kft.runs.atomic import write_bytes


def write_comparison(comparison: Comparison, path: str | os.PathLike[str]) -> Path:
    """Write a comparison as an HTML file, and return its path.

    Raises:
        ConfigError: The file does not end in .html.
    """
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"a comparison is a web page: {path} must end in .html or .htm.")
    write_bytes(Path(path), render_comparison(comparison))
    return Path(path)


__all__ = ["Comparison", "compare_runs", "render_comparison", "write_comparison"]
