"""What a user should know of the data: findings, and the files that they are about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["problem", "warning", "note"]
# The most serious first.
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")


@dataclass(frozen=True)
class Flagged:
    """A file that a finding is about.

    Attributes:
        name: As its data set names it.
        note: What is to say of this file alone; may be empty.
    """

    name: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """Something that a user should know of the data.

    Attributes:
        kind: Name of what was looked for, such as `blank` or `label_problems`.
        severity: `problem` spoils training or its figures; `warning` is worth a look at the
            files; `note` is good to know.
        sentence: What was found and what to do about it.
        files: All that it is about, the most striking first; none where it is about classes.
    """

    kind: str
    severity: Severity
    sentence: str
    files: tuple[Flagged, ...] = ()

    def describe(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "sentence": self.sentence,
            "files": [{"name": file.name, "note": file.note} for file in self.files],
        }


def sort_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The most serious first; among equals, in the order in which they came."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def count(number: int, noun: str, plural: str = "") -> str:
    """Such as '1 picture' or '1,234 pictures'."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
