"""Result of an audit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kft.auditing.overview import Overview
from kft.auditing.seen_examples import SeenExamples
from kft.findings import Finding


@dataclass(frozen=True)
class Audit:
    """Findings about a data set.

    Attributes:
        source: Name of the data.
        overview: Counts of the data set.
        findings: Findings, most serious first.
        skipped: Sentences that name skipped checks and the reason.
        examples: Examples that were checked.
    """

    source: str
    overview: Overview
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...]
    examples: SeenExamples = field(repr=False)

    @property
    def is_clean(self) -> bool:
        """Whether all findings are notes."""
        return all(finding.severity == "note" for finding in self.findings)

    def describe(self) -> dict[str, Any]:
        """Describe the audit by JSON values."""
        return {
            "source": self.source,
            **self.overview.describe(),
            "findings": [finding.describe() for finding in self.findings],
            "skipped": list(self.skipped),
        }
