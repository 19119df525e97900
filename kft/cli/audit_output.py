"""What `kft audit` prints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kft.cli.output import make_console, make_table, show_pairs

if TYPE_CHECKING:
    from rich.console import Console

    from kft.auditing import Audit, Finding
    from kft.auditing.overview import Overview

# Files that are listed under a finding; the page and JSON have more.
_SHOWN_FILES = 5
# Classes that have a line of their own.
_SHOWN_CLASSES = 40


def show_audit(audit: Audit) -> None:
    """What there is, then the findings, the most serious first."""
    console = make_console()
    seen = audit.overview
    console.print(f"Audit of {printable(audit.source)}\n", soft_wrap=True)
    show_pairs(console, _describe_overview(seen))
    _show_groups(console, seen)
    if not audit.findings:
        console.print("Nothing was found.")
    for finding in audit.findings:
        _show_finding(console, finding)
    for sentence in audit.skipped:
        console.print(f"Not looked at. {printable(sentence)}", soft_wrap=True)


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
    if seen.width is not None and seen.height is not None:
        rows += [
            ("Width", f"{seen.width}"),
            ("Height", f"{seen.height}"),
            ("Sizes", _listed(seen.sizes)),
            ("Width / height", _listed(seen.aspect_ratios)),
            ("Modes", _listed(seen.modes)),
            ("Formats", _listed(seen.formats)),
        ]
    if seen.depth is not None:
        rows.append(("Depth", printable(seen.depth.origin)))
    if seen.repaired:
        rows.append(("Converted", _listed(seen.repaired)))
    if seen.noticed:
        rows.append(("Noticed", _listed(seen.noticed)))
    return rows


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(name)}: {number:,}" for name, number in counts.items())


def _show_groups(console: Console, seen: Overview) -> None:
    *groups, everything = seen.groups
    noun = {"class": "class", "labels": "label", "number": ""}[seen.target_kind]
    splits = list(everything.counts)
    table = make_table(
        noun, *(f"{split}>" for split in splits), "brightness>", "contrast>", "mean colour>"
    )
    shown = groups if len(groups) <= _SHOWN_CLASSES else groups[: _SHOWN_CLASSES - 1]
    for group in (*shown, everything):
        if group is everything and len(shown) < len(groups):
            table.add_row(f"and {len(groups) - len(shown)} more")
        red, green, blue = group.mean_rgb
        table.add_row(
            printable(group.name),
            *(f"{group.counts[split]:,}" for split in splits),
            f"{group.brightness:.0f}",
            f"{group.contrast:.0f}",
            f"#{red:02x}{green:02x}{blue:02x}",
        )
    console.print(table)


def _show_finding(console: Console, finding: Finding) -> None:
    console.print(f"{finding.severity.upper()}  {printable(finding.sentence)}", soft_wrap=True)
    for file in finding.files[:_SHOWN_FILES]:
        note = f"  ({printable(file.note)})" if file.note else ""
        console.print(f"    {printable(file.name)}{note}", soft_wrap=True)
    if len(finding.files) > _SHOWN_FILES:
        console.print(f"    and {len(finding.files) - _SHOWN_FILES:,} more")
    console.print()


def printable(text: str) -> str:
    """The text, with what would move the cursor or is no letter at all written out."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
