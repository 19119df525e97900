"""Peak memory of a probe: it does not grow with the data.

Run: KFT_SHARED=../shared python benchmarks/memory.py [--counts N …] [--quick]

`kft train` with a probe, MobileNetV2 0.35 at 96 px to keep it short, over
cifar10's 5,000 pictures, each copied as often as it takes. Peak memory is the
most resident memory that the process ever had (VmHWM), pages of files that it
has mapped included.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from measuring import run_command
from pictures import BACKBONE, copy_repeated
from report import make_parser, print_header, print_table, use_shared

COUNTS = (5_000, 50_000)
QUICK_COUNTS = (500, 1_000)
SETTINGS = (
    *BACKBONE,
    "backbone.input_size=96",
    "strategy.name=linear_probe",
    "data.validation=0",
    "data.holdout=0",
    "export.enabled=false",
)


def main() -> None:
    """Print the table as Markdown."""
    parser = make_parser(__doc__)
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS)
    asked = parser.parse_args()
    counts = QUICK_COUNTS if asked.quick else asked.counts
    print_header("Peak memory of a probe", (0,), "96 px, one run each; allowed: 300 MB more")
    headings = ("pictures", "peak memory, MB", "more than the first, MB", "seconds, all of it")
    print_table(headings, measure(counts, use_shared()))


def measure(counts: Sequence[int], shared: Path) -> Iterator[tuple[str, ...]]:
    """A row for each number of pictures."""
    first: float | None = None
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            source = shared / "data/image/cifar10/train"
            data = copy_repeated(source, Path(folder, "pictures"), count=count)
            kft = str(Path(sys.executable).with_name("kft"))
            command = [kft, "train", str(data), *SETTINGS, f"runs_directory={folder}/runs"]
            ran = run_command(command, cache=Path(folder, "cache"))
        first = ran.peak_megabytes if first is None else first
        more = ran.peak_megabytes - first
        yield f"{count:,}", f"{ran.peak_megabytes:.0f}", f"{more:.0f}", f"{ran.seconds:.0f}"


if __name__ == "__main__":
    main()
