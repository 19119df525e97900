"""Check and audit in Python, and single backbones."""

import numpy as np
import pytest

import kft


def test_a_check_describes_the_planned_run(place, settings):
    check = kft.check(place / "photos", **settings)
    assert [each.phase.name for each in check.phases] == ["linear_probe", "full"]
    assert check.seconds > 0
    assert "45 found = 45 used" in str(check)
    assert "linear_probe: " in check._repr_html_()
    assert check.pipeline.training.batch_size == 8


def test_an_audit_has_findings_and_a_page_in_a_frame(place, settings, tmp_path):
    report = kft.audit(place / "photos", with_labels=False, backbone=settings["backbone"])
    assert report.describe()["findings"] == [finding.describe() for finding in report.findings]
    assert report.is_clean == all(finding.severity == "note" for finding in report.findings)
    page = report.write_page(tmp_path / "audit.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert all(finding.sentence in repr(report) for finding in report.findings)
    frame = report._repr_html_()
    assert frame.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert "<html" not in frame


def test_a_loaded_backbone_is_a_model_with_blocks():
    backbone = kft.load_backbone("small_cnn", weights="random", input_size=32, width=4)
    assert backbone.blocks[0].name == "stem"
    features = backbone.model(np.zeros((2, 32, 32, 3), "float32"))
    assert tuple(features.shape) == (2, 4, 4, 32)


def test_an_unknown_backbone_is_refused():
    with pytest.raises(kft.KftError, match="Did you mean 'resnet50'"):
        kft.load_backbone("resnet5")
    assert "resnet50" in {listing.name for listing in kft.list_backbones()}


@pytest.mark.full
@pytest.mark.usefixtures("parity_in_this_process")
def test_an_own_backbone_is_pretrained_and_fine_tuned(place, settings):
    small = {**settings, "strategy": {"duration": 4}}
    own = kft.pretrain(place / "photos", run_id="own", **small)
    assert own.backbone == own.path / "backbone"
    probe = {**settings, "backbone": own.backbone, "strategy": "linear_probe"}
    tuned = kft.train(place / "photos", run_id="from-own", **probe)
    assert tuned.backbone is None
    assert len(tuned.history) == 0
    assert tuned._repr_html_().count('class="curve"') == 0
