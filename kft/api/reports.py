"""What is told before training: what a run would do, and what is wrong with the data."""

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
    """What a run would do and cost.

    Attributes:
        pipeline: Every setting, those measured on this machine included.
        data: Lines: examples, classes, split, what became of every file.
        phases: A forecast for each phase.
        risks: Sentences.
    """

    pipeline: Pipeline
    data: tuple[str, ...]
    phases: tuple[PhaseForecast, ...]
    risks: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """About how long the phases take on this machine."""
        return sum(phase.seconds for phase in self.phases)

    def __repr__(self) -> str:
        from kft.display import format_seconds

        phases = [
            f"{each.phase.name}: {each.trainable_parameters:,} of {each.parameters:,} parameters, "
            f"about {format_seconds(each.seconds)}"
            for each in self.phases
        ]
        return "\n".join((*self.data, "", *phases, "", *(self.risks or ("No risks seen.",))))

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


@dataclass(frozen=True, repr=False)
class AuditReport:
    """What is wrong with the data; a notebook shows it as a page with the pictures.

    Attributes:
        audit: Everything that was found.
        config: The `data` section that was audited.
    """

    audit: Audit
    config: DataConfig

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The most serious first; each has kind, severity, sentence and files."""
        return self.audit.findings

    @property
    def is_clean(self) -> bool:
        """Whether there is nothing but notes."""
        return self.audit.is_clean

    def describe(self) -> dict[str, Any]:
        """JSON values, as `kft audit --json` prints them."""
        return self.audit.describe()

    def write_page(self, path: str | os.PathLike[str]) -> Path:
        """Write the page that needs no other file; gives its path.

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
        return "\n".join((self.audit.source, *(lines or ("nothing found",))))

    def _repr_html_(self) -> str:
        # A frame keeps the page's style away from the notebook's.
        page = html.escape(self._render().decode())
        return f'<iframe srcdoc="{page}" width="100%" height="600" frameborder="0"></iframe>'
