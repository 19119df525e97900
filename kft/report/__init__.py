"""The report of a run: one HTML file that says how good, how sure, where it fails, and why."""

from __future__ import annotations

import os
from pathlib import Path

from kft.errors import ConfigError
from kft.report.model_card import render_model_card
from kft.report.record import Report
from kft.report.rendering import render_report
from kft.report.run_reading import read_report
from kft.runs import RunDirectory
from kft.runs.atomic import write_bytes, write_text


def write_report(
    run: Path, path: str | os.PathLike[str] | None = None, *, split: str | None = None
) -> Path:
    """Write the report of a finished run, and its model card beside it; return the report's path.

    Args:
        run: Path of the run.
        path: File to write; by default report.html in the run's folder of the evaluation.
        split: Split or other data that was judged, as in `read_report`.

    Raises:
        ConfigError: The file does not end in .html.
        RunError: There is no finished run, or it judged no such split.
    """
    if path is not None and Path(path).suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"the report is a web page: {path} must end in .html or .htm.")
    report = read_report(run, split=split)
    written = Path(path or RunDirectory(run).evaluation(report.split[0]) / "report.html")
    write_bytes(written, render_report(report))
    write_text(written.with_suffix(".card.md"), render_model_card(report))
    return written


__all__ = ["Report", "read_report", "render_model_card", "render_report", "write_report"]
