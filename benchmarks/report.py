"""What every benchmark prints above its table: commit, hardware, versions, seeds."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from kft.machine import processor
from kft.runs import package_versions
from kft.runs.manifest import find_git_commit


def use_shared() -> Path:
    """The folder of real data, from KFT_SHARED; kft is told where the weights are."""
    folder = Path(os.environ.get("KFT_SHARED", "../shared")).resolve()
    if not folder.is_dir():
        raise SystemExit(f"KFT_SHARED: no such folder: {folder}")
    os.environ["KFT_WEIGHTS_DIR"] = str(folder / "weights")
    return folder


def make_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Options of a script, with `--quick`, whose description is its docstring."""
    parser = argparse.ArgumentParser(
        description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="show that the script works; no figures to keep"
    )
    return parser


def print_header(title: str, seeds: Sequence[int], *notes: str) -> None:
    """The circumstances of the figures below, as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    print(f"## {title}\n")
    print(f"- {datetime.date.today()}, commit {find_git_commit()}")
    print(f"- {os.cpu_count()} cores of {processor()}, {platform.system()}, no GPU")
    print(f"- {versions}")
    print(f"- seeds {', '.join(map(str, seeds))}")
    for note in notes:
        print(f"- {note}")
    print()


def print_section(title: str, *notes: str) -> None:
    """A part of a report: its heading, and what is inside of its timings."""
    print(f"### {title}\n")
    for note in notes:
        print(note)
    print(flush=True)


def median_cell(values: Sequence[float], digits: int = 1) -> str:
    """The median, and all values in order where there are several."""
    shown = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return shown
    return f"{shown} ({', '.join(f'{value:.{digits}f}' for value in values)})"


def ratio_cell(values: Sequence[float], others: Sequence[float]) -> str:
    """Median of the ratios, pair by pair: what disturbed both repeats alike is no part of it."""
    return median_cell([one / other for one, other in zip(values, others, strict=True)], 2)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A Markdown table; each row is printed when it comes."""
    print("| " + " | ".join(headings) + " |")
    print("|" + " --- |" * len(headings), flush=True)
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()
