"""A finished run is explained, corrupted and compared with its pretrained backbone on request."""

import json
import shutil

import numpy as np
import pytest

import kft
from kft.report import read_report, render_report

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def tuned(place, settings) -> kft.Run:
    """A run whose backbone was pretrained, and moved."""
    own = kft.pretrain(
        place / "photos",
        run_id="pretrained",
        **{**settings, "strategy": {"name": "full", "duration": 4}},
    )
    fine_tuning = {**settings, "backbone": {"name": str(own.backbone)}}
    return kft.train(place / "photos", run_id="tuned", **fine_tuning)


def test_files_and_mistakes_are_explained(tuned, place, tmp_path):
    found = tuned.explain(place / "photos" / "cat" / "000.png", folder=tmp_path / "explained")
    assert [each.answer for each in found] == ["cat"]
    assert {each.method for each in found[0].attributions} == {
        "Grad-CAM",
        "integrated gradients",
        "occlusion",
    }
    assert found._repr_html_().count("data:image/png") == 3
    assert len(list((tmp_path / "explained").glob("*.png"))) == 3
    array = tuned.explain(np.zeros((24, 24, 3), np.uint8), folder=tmp_path / "array")
    assert array[0].file == "picture 0"
    assert len(tuned.explain(mistakes=2)) == 2
    assert len(read_report(tuned.path).explanations) == 2


def test_it_is_judged_on_corrupted_examples(tuned):
    robustness = tuned.measure_robustness()
    assert set(robustness.rows) == {
        *("noise", "blur", "JPEG", "brightness", "contrast", "rotation"),
    }
    assert all(len(scores) == 5 for scores in robustness.rows.values())
    assert robustness.clean.value == pytest.approx(tuned.metrics["accuracy"])
    assert "What does it endure?" in render_report(read_report(tuned.path)).decode()


def test_blocks_are_compared_with_the_pretrained_ones(tuned, place):
    recorded = json.loads((tuned.path / "changes.json").read_text())["blocks"]
    changes = tuned.measure_changes(place / "photos")
    for block, stated in zip(changes.blocks, recorded, strict=True):
        assert block.relative_change == pytest.approx(stated["relative_change"], rel=1e-6)
        assert block.relative_change > 0 and 0 < block.alignment <= 1.0
    assert changes.forgetting.examples > 0 and "(" in changes.forgetting.verdict
    page = render_report(read_report(tuned.path)).decode()
    assert "What did fine-tuning change?" in page and "CKA" in page


def test_a_backbone_from_random_weights_has_nothing_to_forget(run):
    with pytest.raises(kft.KftError, match="began from random weights"):
        run.measure_changes()


def test_without_its_data_only_named_files_are_explained(tuned, place, tmp_path):
    copy = tmp_path / "runs" / "photos" / "copy"
    shutil.copytree(tuned.path, copy)
    pipeline = copy / "pipeline.yaml"
    text = pipeline.read_text().replace(str(place / "photos"), str(tmp_path / "gone"))
    pipeline.write_text(text)
    with pytest.raises(kft.KftError, match="name them"):
        kft.load(copy).explain()
