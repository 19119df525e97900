"""The audit of pictures of more than 8 bits."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from kft.auditing import audit_data, render_page
from kft.cli.audit_output import _describe_overview
from kft.config import DataConfig, load_pipeline
from kft.data.admission.check_files import check_files
from kft.display import Display
from kft.examples import Examples, Files
from kft.modalities.checked import CheckOptions
from kft.modalities.image.depth import find_depth

WHITE = 2**12 - 1


@pytest.fixture
def folder(tmp_path):
    """Write 12-bit scenes of two classes."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(6):
            values = np.kron(rng.integers(0, WHITE + 1, (6, 6)), np.ones((6, 6))).astype(np.uint16)
            Image.fromarray(values).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def audit(folder):
    display = Display(Console(file=io.StringIO(), force_terminal=False))
    pipeline = load_pipeline(str(folder), ("data.split.near_duplicates=ignore",))
    return audit_data(pipeline, display, with_labels=False)


def make_faulty(folder) -> None:
    """Add one sample of a faulty sensor."""
    path = folder / "dog" / "3.png"
    values = np.array(Image.open(path))
    values[5, 5] = 65_535
    Image.fromarray(values).save(path)


def test_pictures_of_12_bits_are_judged_as_they_are_shown(folder):
    found = audit(folder)
    assert not {"blank", "dark", "dimmed"} & {finding.kind for finding in found.findings}
    assert 100 < found.overview.groups[-1].describe()["brightness"] < 160
    (depth,) = [text for title, text in _describe_overview(found.overview) if title == "Depth"]
    assert depth.startswith("12 bits, so 4,095 is white")
    assert found.describe()["calibration"]["value"] == 12


def test_one_faulty_sample_darkens_all_and_is_named(folder):
    make_faulty(folder)
    found = audit(folder)
    (dimmed,) = [finding for finding in found.findings if finding.kind == "dimmed"]
    # The faulty one is dark by its own bits too.
    assert len(dimmed.files) == 11 and "Remove" not in dimmed.sentence
    assert [f.name for find in found.findings if find.kind == "dark" for f in find.files] == [
        "dog/3.png"
    ]
    assert "blank" not in {finding.kind for finding in found.findings}
    assert "65,535 in dog/3.png" in found.overview.calibration.origin
    page = render_page(found, DataConfig(), lambda done, total: None).decode()
    assert "Depth 16 bits" in page


@pytest.mark.parametrize("depth", [12, 13, 16])
def test_measures_at_a_depth_are_those_of_the_picture_shown_at_it(folder, depth, tmp_path):
    values = np.array(Image.open(folder / "cat" / "0.png"))
    Image.fromarray((values * 255.0 / (2**depth - 1)).round().astype(np.uint8)).save(
        tmp_path / "flat.png"
    )
    paths = (str(folder / "cat" / "0.png"), str(tmp_path / "flat.png"))
    config = load_pipeline(str(folder), ()).data
    options = CheckOptions(with_measures=True)
    deep, flat = check_files(
        Examples(("a", "b"), Files(paths), np.zeros(2)), config, options=options
    )
    assert find_depth([deep], "auto").value == 12
    shown = deep.show_at(depth)
    assert shown.brightness == pytest.approx(flat.brightness, abs=0.6)
    assert shown.contrast == pytest.approx(flat.contrast, abs=0.6)
    assert shown.mean_rgb == pytest.approx(flat.mean_rgb, abs=0.6)
    assert shown.contrast / shown.dimming == pytest.approx(deep.contrast)
