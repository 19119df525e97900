"""`kft doctor` reports problems with their remedies."""

from click.testing import CliRunner

from kft.cli.main import main
from kft.doctor import examine


def test_every_requirement_of_kft_is_checked():
    names = {finding.name for finding in examine()}
    assert {"Python", "tensorflow", "keras", "setuptools", "GPU", "kft cache"} <= names


def test_a_problem_is_reported_with_its_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("KFT_WEIGHTS_DIR", str(tmp_path / "gone"))
    finding = next(finding for finding in examine() if finding.name == "KFT_WEIGHTS_DIR")
    assert not finding.is_fine
    assert finding.remedy
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "MISSING" in result.output


def test_a_complete_machine_passes():
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    assert "MISSING" not in result.output


def test_default_weights_on_disk_are_found(monkeypatch, shared):
    monkeypatch.setenv("KFT_WEIGHTS_DIR", str(shared / "weights"))
    finding = next(finding for finding in examine() if finding.name == "mobilenet_v2 weights")
    assert finding.is_fine
