"""The value that this room hands on: an `Audit`, which says what was found in a data set."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kft.auditing.overview import Overview
from kft.auditing.seen_examples import SeenExamples
from kft.findings import Finding


@dataclass(frozen=True)
class Audit:
    """What was found in a data set.

    Attributes:
        source: What was read.
        overview: How many there are of what.
        findings: The most serious first.
        skipped: Sentences: what was not looked at, and why.
        examples: What was looked at.
    """

    source: str
    overview: Overview
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]
    examples: SeenExamples = field(repr=False)

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing but notes."""
        return all(finding.severity == "note" for finding in self.findings)

    def describe(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "source": self.source,
            **self.overview.describe(),
            "findings": [finding.describe() for finding in self.findings],
            "skipped": list(self.skipped),
        }
