"""Findings about the data, and the files that they concern."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["problem", "warning", "note"]
# Most serious first.
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")


@dataclass(frozen=True)
class Flagged:
    """File that a finding concerns.

    Attributes:
        name: Name in its data set.
        note: Remark about this file; may be empty.
    """

    name: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """Fact that a user should know about the data.

    Attributes:
        kind: Name of the check, such as `blank` or `label_problems`.
        severity: A `problem` spoils training or its metrics; for a `warning` the files should
            be inspected; a `note` is useful to know.
        sentence: Finding and remedy.
        files: All files concerned, most striking first; empty if it concerns classes.
    """

    kind: str
    severity: Severity
    sentence: str
    files: tuple[Flagged, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Describe the finding by JSON values."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "sentence": self.sentence,
            "files": [{"name": file.name, "note": file.note} for file in self.files],
        }


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings by severity, most serious first; equal ones keep their order."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def count(number: int, noun: str, plural: str = "") -> str:
    """Format a number with its noun, such as '1 picture' or '1,234 pictures'."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
