"""The manifest of a run."""

import json
import subprocess
import sys

import pytest

from kft import __version__
from kft.runs import describe_process, package_versions
from kft.runs.manifest import RECORDED_PACKAGES, find_git_commit


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """An empty git repository as the working directory."""
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    return tmp_path


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")
    result = subprocess.run(
        ["git", *identity, *arguments], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_the_process_is_described_by_json_values(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    described = describe_process()
    assert described["hardware"]["cpus"] >= 1
    assert described["command"] == sys.argv
    assert described["working_directory"] == str(tmp_path)
    assert described["versions"] == package_versions()
    assert json.loads(json.dumps(described)) == described


def test_versions_cover_the_packages_that_affect_results(monkeypatch):
    versions = package_versions()
    assert set(versions) == {"python", *RECORDED_PACKAGES}
    assert versions["kft"] == __version__
    assert versions["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")


def test_a_missing_package_is_recorded_as_not_installed(monkeypatch):
    monkeypatch.setattr("kft.runs.manifest.RECORDED_PACKAGES", ("no-such-package",))
    assert package_versions()["no-such-package"] == "not installed"


def test_the_commit_is_marked_dirty_if_files_differ_from_it(repository):
    (repository / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert find_git_commit() == commit
    (repository / "a").write_text("2")
    assert find_git_commit() == f"{commit}-dirty"


def test_the_commit_is_none_outside_a_repository_or_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert find_git_commit() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_git_commit() is None
