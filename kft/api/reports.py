"""Reports before training: the check of a run, and the audit of its data."""

from __future__ import annotations

import html
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kft.auditing import Audit
    from kft.config import DataConfig, Pipeline
    from kft.findings import Finding
    from kft.planning import PhaseForecast


@dataclass(frozen=True, repr=False)
class Check:
    """The plan of a run, with its forecast and risks.

    Attributes:
        pipeline: Every setting, including those measured on this machine.
        data: Lines about examples, classes, the split and the use of every file.
        phases: Forecast of each phase.
        risks: Risks, one sentence each.
    """

    pipeline: Pipeline
    data: tuple[str, ...]
    phases: tuple[PhaseForecast, ...]
    risks: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Forecast duration of all phases on this machine, in seconds."""
        return sum(phase.seconds for phase in self.phases)

    def __repr__(self) -> str:
        from kft.display import format_seconds

        phases = [
            f"{each.phase.name}: {each.trainable_parameters:,} of {each.parameters:,} parameters, "
            f"about {format_seconds(each.seconds)}"
            for each in self.phases
        ]
        return "\n".join((*self.data, "", *phases, "", *(self.risks or ("No risks found.",))))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


@dataclass(frozen=True, repr=False)
class AuditReport:
    """The problems found in the data; a notebook shows them as a page with pictures.

    Attributes:
        audit: The complete audit.
        config: The `data` section of the audited data.
    """

    audit: Audit
    config: DataConfig

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings, most serious first; each has a kind, severity, sentence and files."""
        return self.audit.findings

    @property
    def is_clean(self) -> bool:
        """Whether all findings are notes."""
        return self.audit.is_clean

    def describe(self) -> dict[str, Any]:
        """Make the JSON values that `kft audit --json` prints."""
        return self.audit.describe()

    def write_page(self, path: str | os.PathLike[str]) -> Path:
        """Write the audit as a self-contained HTML page, and return its path.

        >>> kft.audit("photos").write_page("audit.html")
        """
        from kft.runs.atomic import write_bytes

        write_bytes(Path(path), self._render())
        return Path(path)

    def _render(self) -> bytes:
        from kft.auditing import render_page

        return render_page(self.audit, self.config, lambda done, total: None)

    def __repr__(self) -> str:
        lines = [f"{finding.severity}: {finding.sentence}" for finding in self.findings]
        return "\n".join((self.audit.source, *(lines or ("no findings",))))

    def _repr_html_(self) -> str:
        # A frame isolates the page's style from the notebook's.
        page = html.escape(self._render().decode())
        return f'<iframe srcdoc="{page}" width="100%" height="600" frameborder="0"></iframe>'
