"""Output of `kft audit`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from kft.cli.records import Form, Record, print_csv, print_document
from kft.cli.tables import make_console, show_pairs, show_table
from kft.printing import printable

if TYPE_CHECKING:
    from rich.console import Console

    from kft.auditing import Audit, Finding
    from kft.auditing.overview import Group, Overview

# Number of files listed under a finding; the page and JSON have more.
_SHOWN_FILES = 5
# Number of classes with a separate line.
_SHOWN_CLASSES = 40


def show_audit(audit: Audit, form: Form) -> None:
    """Print the overview, then the findings, most serious first; CSV has only their files."""
    if form == "json":
        print_document(audit.describe())
    elif form == "csv":
        print_csv(_list_files(audit))
        for sentence in audit.skipped:
            click.echo(f"Not checked. {printable(sentence)}", err=True)
    else:
        _show_text(audit)


def _list_files(audit: Audit) -> Iterator[Record]:
    """Make one record per file of a finding, or one without a file if the finding has none."""
    for finding in audit.findings:
        for name, note in [(file.name, file.note) for file in finding.files] or [("", "")]:
            yield {
                "kind": finding.kind,
                "severity": finding.severity,
                "file": name,
                "note": note,
                "sentence": finding.sentence,
            }


def _show_text(audit: Audit) -> None:
    console = make_console()
    seen = audit.overview
    console.print(f"Audit of {printable(audit.source)}\n", soft_wrap=True)
    show_pairs(console, _describe_overview(seen))
    _show_groups(console, seen)
    if not audit.findings:
        console.print("No findings.")
    for finding in audit.findings:
        _show_finding(console, finding)
    for sentence in audit.skipped:
        console.print(f"Not checked. {printable(sentence)}", soft_wrap=True)


def _describe_overview(seen: Overview) -> list[tuple[str, str]]:
    rows = [
        (
            "Files",
            f"{seen.num_found:,} found = {seen.num_used:,} used + {seen.num_quarantined:,} "
            f"quarantined + {sum(seen.ignored.values()):,} ignored",
        )
    ]
    if seen.ignored:
        rows.append(("Ignored", _listed(seen.ignored)))
    rows += [(fact.title, printable(fact.text)) for fact in seen.facts]
    if seen.calibration is not None:
        rows.append((seen.calibration.title, printable(seen.calibration.origin)))
    if seen.repaired:
        rows.append(("Converted", _listed(seen.repaired)))
    if seen.noticed:
        rows.append(("Noticed", _listed(seen.noticed)))
    return rows


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(name)}: {number:,}" for name, number in counts.items())


def _show_groups(console: Console, seen: Overview) -> None:
    *groups, everything = seen.groups
    splits = list(everything.counts)
    is_short = len(groups) <= _SHOWN_CLASSES or not console.is_terminal
    shown = groups if is_short else groups[: _SHOWN_CLASSES - 1]
    rows = [_format_group(group, splits) for group in shown]
    if not is_short:
        rows.append(
            [f"and {len(groups) - len(shown)} more", *[""] * (len(splits) + len(everything.facts))]
        )
    rows.append(_format_group(everything, splits))
    headings = [seen.noun, *(f"{split}>" for split in splits)]
    columns = [f"{fact.title}>" for fact in everything.facts]
    show_table(console, [*headings, *columns], rows)


def _format_group(group: Group, splits: Sequence[str]) -> list[str]:
    return [
        group.name,
        *(f"{group.counts[split]:,}" for split in splits),
        *(printable(fact.text) for fact in group.facts),
    ]


def _show_finding(console: Console, finding: Finding) -> None:
    console.print(f"{finding.severity.upper()}  {printable(finding.sentence)}", soft_wrap=True)
    for file in finding.files[:_SHOWN_FILES]:
        note = f"  ({printable(file.note)})" if file.note else ""
        console.print(f"    {printable(file.name)}{note}", soft_wrap=True)
    if len(finding.files) > _SHOWN_FILES:
        console.print(f"    and {len(finding.files) - _SHOWN_FILES:,} more")
    console.print()
