"""What is wrong with the data: from what the gate saw of each file, and the backbone sees.

`audit_data` looks; each check is a function from what was seen to findings. `render_page`
shows an `Audit` with its examples.
"""

from __future__ import annotations

from kft.auditing.audit import Audit
from kft.auditing.auditing import audit_data
from kft.auditing.page import render_page
from kft.findings import Finding, Flagged

__all__ = ["Audit", "Finding", "Flagged", "audit_data", "render_page"]
