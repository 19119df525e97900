"""What every benchmark prints above its table: commit, hardware, versions, seeds."""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

from kft.runs import package_versions
from kft.runs.manifest import find_git_commit


def find_shared() -> Path:
    """The folder of real data and weights, from KFT_SHARED."""
    folder = Path(os.environ.get("KFT_SHARED", "../shared")).resolve()
    if not folder.is_dir():
        raise SystemExit(f"KFT_SHARED: no such folder: {folder}")
    return folder


def print_header(title: str, seeds: Sequence[int]) -> None:
    """The circumstances of the figures below, as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
    print(f"## {title}\n")
    print(f"- {datetime.date.today()}, commit {find_git_commit()}")
    print(f"- {os.cpu_count()} cores of {_processor()}, {platform.system()}, no GPU")
    print(f"- {versions}")
    print(f"- seeds {', '.join(map(str, seeds))}\n")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A Markdown table; each row is printed when it comes."""
    print("| " + " | ".join(headings) + " |")
    print("|" + " --- |" * len(headings), flush=True)
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)
    print()
