"""The input pipeline beside the bare decoder, and the audit; both beside plain Keras.

Run: KFT_SHARED=../shared python benchmarks/input.py [--only pipeline audit] [--repeats N] [--quick]

Photographs of some 500 pixels (ants_bees without its one GIF), and those of a
telephone: one of 9 megapixels, copied often. All readers read the same files
from the operating system's cache on the same cores, and take turns.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import Bench, run_parts
from measuring import call, run_command
from pictures import SIZE, copy_repeated
from report import median_cell, print_section, print_table, ratio_cell

PASSES = 5
LARGE = "sign_digits/7/IMG_5978.JPG"
NUM_LARGE = 60
AUDITED = 10_000


def main() -> None:
    """Print the tables as Markdown."""
    run_parts(__doc__, "Input", {"pipeline": show_pipeline, "audit": show_audit})


def show_pipeline(bench: Bench) -> None:
    """Pictures a second of every way to read them."""
    print_section(
        f"Pictures a second, to {SIZE} x {SIZE} in batches of 32",
        f"From the first batch on, of {PASSES} passes over the files. Bare, unscaled:",
        "tf.io.read_file and tf.io.decode_jpeg in parallel, and nothing else. Bare: also",
        "tf.image.resize with antialiasing, rounded to uint8, which is what kft's pipeline gives;",
        "that also shuffles, reads EXIF, composites what is transparent, and looks whether a file",
        "changed. Keras's reader resizes without antialiasing. Start: seconds to the first batch.",
        "Asked for: 0.90 of the bare decoder on photographs of 500 pixels.",
    )
    headings = ("photographs", "reader", "pictures a second", "of bare", "of unscaled", "start, s")
    print_table(headings, compare_readers(bench))


def compare_readers(bench: Bench) -> Iterator[tuple[str, ...]]:
    """A row for each reader of each set."""
    for name, folder in find_photographs(bench):
        runs = [
            call("input_speed:measure_readers", data=str(folder), size=SIZE, passes=PASSES)
            for _ in range(bench.repeats)
        ]

        def speeds_of(reader: str, runs: list[Any] = runs) -> list[float]:
            return [run[reader]["speed"] for run in runs]

        for reader in runs[0]:
            yield (
                name,
                reader,
                median_cell(speeds_of(reader), 0),
                ratio_cell(speeds_of(reader), speeds_of("bare")),
                ratio_cell(speeds_of(reader), speeds_of("bare, unscaled")),
                median_cell([run[reader]["start"] for run in runs], 2),
            )


def find_photographs(bench: Bench) -> Iterator[tuple[str, Path]]:
    """Folders of JPEG files in class folders."""
    photographs = bench.scratch / "photographs"
    for folder in sorted((bench.ants_bees / "train").iterdir()):
        target = photographs / folder.name
        target.mkdir(parents=True)
        for path in sorted(folder.glob("*.jpg"))[: 20 if bench.is_quick else None]:
            shutil.copyfile(path, target / path.name)
    yield "500 px", photographs
    large = bench.scratch / "large"
    content = (bench.shared / "data/image" / LARGE).read_bytes()
    for name in ("a", "b"):
        (large / name).mkdir(parents=True)
        for i in range(4 if bench.is_quick else NUM_LARGE // 2):
            # Another content each: kft refuses one picture under two labels.
            (large / name / f"{i}.jpg").write_bytes(content + f"{name}{i}".encode())
    yield "9 megapixels", large


def show_audit(bench: Bench) -> None:
    """The gate and the audit on many pictures."""
    count = 400 if bench.is_quick else AUDITED
    print_section(
        f"Checking {count:,} photographs of 500 pixels",
        "ants_bees, each copied as often as it takes. The gate reads, digests and hashes each",
        "file before training. `kft audit` is the whole command, without labels and page. Keras:",
        "one pass of image_dataset_from_directory, which decodes and checks nothing. Memory: the",
        "most resident memory of the process, and that on a tenth of the pictures.",
    )
    headings = ("", "seconds", "pictures a second", "memory, MB", "on a tenth")
    print_table(headings, measure_audit(bench, count))


def measure_audit(bench: Bench, count: int) -> Iterator[tuple[str, ...]]:
    """A row each for the gate, the command and Keras."""
    kft = str(Path(sys.executable).with_name("kft"))
    with tempfile.TemporaryDirectory() as scratch:
        folders = {
            share: copy_repeated(bench.ants_bees / "train", Path(scratch, str(share)), count=number)
            for share, number in ((10, count // 10), (1, count))
        }
        for name, function in (
            ("the gate, before training", "measure_gate"),
            ("image_dataset_from_directory", "measure_keras"),
        ):
            seconds = call(f"input_speed:{function}", data=str(folders[1]), size=SIZE)
            yield name, f"{seconds:.1f}", f"{count / seconds:.0f}", "", ""
        ran = {
            share: run_command(
                [
                    kft,
                    "audit",
                    str(folder),
                    "--no-labels",
                    "--json",
                    "data.folders.allowed_roots=[/]",
                ],
                cache=Path(scratch, f"cache{share}"),
            )
            for share, folder in folders.items()
        }
        yield (
            "kft audit",
            f"{ran[1].seconds:.1f}",
            f"{count / ran[1].seconds:.0f}",
            f"{ran[1].peak_megabytes:.0f}",
            f"{ran[10].peak_megabytes:.0f}",
        )


if __name__ == "__main__":
    main()
