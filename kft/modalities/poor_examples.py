"""Examples that can be read but hold little: each modality has its cases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kft.findings import Finding, Flagged, count


@dataclass(frozen=True)
class PoorCase:
    """One kind of poor example, and how to recognise it.

    Attributes:
        kind: Kind of the finding.
        is_so: Function from a checked example to whether it is of this kind.
        text: Text of the finding, after the number of examples.
        note: Function from a checked example to a remark on it, such as a measure.
    """

    kind: str
    is_so: Callable[[Any], bool]
    text: str
    note: Callable[[Any], str]


def find_poor_examples(
    checked: Sequence[Any], cases: Sequence[PoorCase], *, noun: str
) -> tuple[Finding, ...]:
    """Find poor examples; each is reported once, by the first case that applies."""
    reported: set[int] = set()
    findings = []
    for case in cases:
        places = [i for i, each in enumerate(checked) if i not in reported and case.is_so(each)]
        reported.update(places)
        if places:
            files = tuple(Flagged(checked[at].name, case.note(checked[at])) for at in places)
            text = f"{count(len(files), noun)} {case.text}"
            findings.append(Finding(case.kind, "warning", text, files))
    return tuple(findings)
