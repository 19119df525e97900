"""Audit of the data: problems that file checks and the backbone's features reveal.

`audit_data` runs the audit; each check is a function from `SeenExamples` to findings.
`render_page` shows an `Audit` with its examples.
"""

from __future__ import annotations

from kft.auditing.audit import Audit
from kft.auditing.auditing import audit_data
from kft.auditing.page import render_page
from kft.findings import Finding, Flagged

__all__ = ["Audit", "Finding", "Flagged", "audit_data", "render_page"]
