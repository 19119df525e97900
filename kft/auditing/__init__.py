"""What is wrong with the data: from what the gate saw of each file, and the backbone sees.

`audit_data` looks; each check is a function from what was seen to findings. `render_page`
shows an `Audit` with its pictures.
"""

from __future__ import annotations

from kft.auditing.audit import Audit, Finding, Flagged
from kft.auditing.auditing import audit_data
from kft.auditing.page import render_page

__all__ = ["Audit", "Finding", "Flagged", "audit_data", "render_page"]
