"""The report of a run: one HTML file that says how good, how sure, where it fails, and why."""

from __future__ import annotations

from kft.report.record import Report
from kft.report.rendering import render_report
from kft.report.run_reading import read_report

__all__ = ["Report", "read_report", "render_report"]
