from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from encoded import encode, make_huge_png, make_noise, make_scene
from PIL import Image

from kft.config import DataConfig
from kft.data.admission.check_files import check_files, compute_fingerprint
from kft.examples import Examples, Files, Quarantined
from kft.modalities.checked import Checked, CheckOptions
from kft.modalities.image.inspection import CheckedPicture, Inspection
from kft.tasks import find_task

CONFIG = DataConfig()
JPEG = encode(make_scene(), "JPEG")


@pytest.fixture
def examples_of(tmp_path):
    """Make examples of files with these contents."""

    def build(**contents: bytes) -> Examples:
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        return name_files(tmp_path, *contents)

    return build


def name_files(folder: Path, *names: str) -> Examples:
    paths = tuple(str(folder / name) for name in names)
    return Examples(names, Files(paths), np.zeros(len(names), np.int64))


def find_reason(examples: Examples, config: DataConfig = CONFIG) -> str:
    (outcome,) = check_files(examples, config)
    assert isinstance(outcome, Quarantined)
    return outcome.reason


def test_what_is_known_of_a_file(examples_of, tmp_path):
    (seen,) = check_files(examples_of(a=JPEG), CONFIG)
    status = (tmp_path / "a").stat()
    assert seen == CheckedPicture(
        name="a",
        path=str(tmp_path / "a"),
        digest=hashlib.sha256(JPEG).hexdigest(),
        size=len(JPEG),
        changed_ns=status.st_mtime_ns,
        format="JPEG",
        mode="RGB",
        width=96,
        height=64,
    )


def test_a_converted_file_is_read_in_place_of_the_other(examples_of, caches):
    content = encode(make_scene(), "TIFF")
    one, other = check_files(examples_of(a=content, b=content), CONFIG)
    assert one.repaired == ("TIFF",) and one.digest == hashlib.sha256(content).hexdigest()
    assert one.path == other.path and Path(one.path).is_relative_to(caches)
    status = Path(one.path).stat()
    assert (one.size, one.changed_ns) == (status.st_size, status.st_mtime_ns)
    (black,) = check_files(examples_of(a=content), DataConfig(image={"background": "black"}))
    assert black.path != one.path


def test_an_inspection_is_a_check_with_measures(examples_of):
    examples = examples_of(a=JPEG, b=encode(make_scene(), "TIFF"), c=b"")
    measured = CheckOptions(with_likeness=True, with_measures=True)
    first, second, bad = check_files(examples, CONFIG, options=measured)
    alike = CheckOptions(with_likeness=True)
    (checked,) = check_files(examples.take([0]), CONFIG, options=alike)
    assert isinstance(first, Inspection) and (first.digest, first.name) == (checked.digest, "a")
    assert (first.likeness ^ checked.likeness).bit_count() <= 4
    assert np.allclose(first.mean_rgb, second.mean_rgb, atol=3)
    assert bad == Quarantined("c", examples.inputs.paths[2], "the file is empty")


def test_outcomes_come_in_order_and_progress_counts_every_file(examples_of):
    contents = {f"f{i:02d}": JPEG if i % 3 else b"" for i in range(50)}
    seen: list[tuple[int, int]] = []
    outcomes = check_files(examples_of(**contents), CONFIG, lambda *now: seen.append(now))
    assert [outcome.name for outcome in outcomes] == list(contents)
    assert [isinstance(outcome, Checked) for outcome in outcomes] == [
        bool(c) for c in contents.values()
    ]
    assert seen == [(i, 50) for i in range(1, 51)]


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert find_reason(name_files(tmp_path, "gone")) == "there is no such file"
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    assert find_reason(name_files(tmp_path, "dangling")) == "a link that leads nowhere"
    (tmp_path / "round").symlink_to(tmp_path / "round")
    assert find_reason(name_files(tmp_path, "round")) == "a circular link"


def test_what_is_no_file_is_never_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        for name in ("pipe", "folder", "socket", "/dev/zero"):
            reason = find_reason(name_files(tmp_path, name))
            assert reason == "a folder, pipe or device, not a file"


def test_a_file_that_may_not_be_read_is_named(examples_of, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    examples = examples_of(a=JPEG)
    monkeypatch.setattr(Path, "open", refuse)
    assert find_reason(examples) == "cannot be accessed (Permission denied)"


def test_a_file_without_an_end_is_refused_by_its_size(tmp_path):
    with (tmp_path / "endless.tif").open("wb") as file:
        file.write(encode(make_scene(), "TIFF"))
        file.truncate(10**12)  # a hole that takes no room
    reason = find_reason(name_files(tmp_path, "endless.tif"))
    assert "1e+03 GB; a picture of 100 megapixels" in reason
    with (tmp_path / "endless.html").open("wb") as file:
        file.write(b"<html>")
        file.truncate(10**12)
    assert "an HTML page" in find_reason(name_files(tmp_path, "endless.html"))


@pytest.mark.parametrize(
    "name", ["-dash.jpg", "new\nline.jpg", "UPPER.JPG", "é ü 漢.jpg", "a" * 251 + ".jpg", "x.txt"]
)
def test_a_name_is_no_reason_against_a_file(tmp_path, name):
    (tmp_path / name).write_bytes(JPEG)
    (seen,) = check_files(name_files(tmp_path, name), CONFIG)
    assert seen.name == name and isinstance(seen, Checked)


def test_a_name_that_is_not_utf_8_is_refused_and_written_readably(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    Path(os.fsdecode(path)).write_bytes(JPEG)
    (bad,) = check_files(name_files(tmp_path, os.fsdecode(b"caf\xe9.jpg")), CONFIG)
    assert bad.name == "caf\\xe9.jpg" and bad.path.endswith("caf\\xe9.jpg")
    assert bad.reason == "its name is not UTF-8; rename it"


def test_pillows_own_pixel_limit_is_left_as_it_was(examples_of):
    limit = Image.MAX_IMAGE_PIXELS
    check_files(examples_of(a=JPEG), CONFIG)
    assert limit == Image.MAX_IMAGE_PIXELS


# The memory of the test process would depend on the tests before.
BOMB = """
import resource, sys
import numpy as np
from kft.config import DataConfig
from kft.data.admission.check_files import check_files
from kft.examples import Examples, Files
from kft.modalities.checked import CheckOptions

def check(name):
    examples = Examples((name,), Files((name,)), np.zeros(1, np.int64))
    return check_files(examples, DataConfig(), options=CheckOptions(decode=False))

peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
check(sys.argv[1])
before = peak()
(bad,) = check(sys.argv[2])
print(bad.reason, peak() - before, sep="\\n")
"""


def test_a_picture_that_would_decode_to_gigabytes_is_refused_undecoded(examples_of, tmp_path):
    # As large as such a file is: a thousandth of its pixels.
    bomb = make_huge_png(23_000, 23_000)
    bomb = bomb[:33] + b"\0\x18\0\0tEXt" + bytes(0x180000) + bytes(4) + bomb[33:]
    examples_of(small=encode(make_noise(), "PNG"), bomb=bomb)
    command = [sys.executable, "-c", BOMB, str(tmp_path / "small"), str(tmp_path / "bomb")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    reason, megabytes = result.stdout.splitlines()
    assert "23000 x 23000 pixels; at most 100 megapixels are decoded" in reason
    assert float(megabytes) < 20


def test_the_fingerprint_depends_on_ids_contents_targets_and_names_only():
    examples = Examples(("a", "b"), Files(("/x/a", "/x/b")), np.array([0, 1]))
    moved = Examples(("b", "a"), Files(("/y/b", "/y/a")), np.array([1, 0]))
    first = compute_fingerprint(examples, ["1", "2"], find_task("class"), ["c", "d"])
    assert first == compute_fingerprint(moved, ["2", "1"], find_task("class"), ["c", "d"])
    relabelled = Examples(("a", "b"), Files(("/x/a", "/x/b")), np.array([1, 1]))
    others = {
        compute_fingerprint(examples, ["1", "3"], find_task("class"), ["c", "d"]),
        compute_fingerprint(relabelled, ["1", "2"], find_task("class"), ["c", "d"]),
        compute_fingerprint(examples, ["1", "2"], find_task("class"), ["c", "e"]),
    }
    assert len(others | {first}) == 4
