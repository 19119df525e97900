from __future__ import annotations

import os
from pathlib import Path

import pytest

from kft.data.sources.walking import Walker
from kft.modalities import load_modality

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def root(tmp_path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def write(root: Path, *names: str, content: bytes = b"") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def walk(root: Path, *outside: Path) -> tuple[list[str], dict[str, int], dict[str, str]]:
    """Walk a folder: possible examples, ignored and quarantined files."""
    walker = Walker(root, load_modality("image"), tuple(map(str, outside)))
    files = [os.path.relpath(path, root) for path in walker.walk(root)]
    bad = {each.name: each.reason for each in walker.quarantined}
    return files, dict(walker.ignored), bad


def test_every_file_is_accounted_for(root):
    write(root, "a/1.jpg", "a/2.JPEG", "a/deep/3.png", "a/4.tiff", "a/5.heic", "a/-6.jpg")
    write(root, "a/notes.txt", "a/labels.TXT", "a/README")
    write(root, "a/.DS_Store", "a/Thumbs.db", "a/.hidden.jpg", ".git/a", ".git/b/c", "a/._1.jpg")
    write(root, "__MACOSX/a/1.jpg", "a/.ipynb_checkpoints/1-checkpoint.jpg")
    files, ignored, bad = walk(root)
    assert files == ["a/-6.jpg", "a/1.jpg", "a/2.JPEG", "a/4.tiff", "a/5.heic", "a/deep/3.png"]
    assert ignored == {
        "ending .txt": 2,
        "ending (none)": 1,
        ".DS_Store": 1,
        "Thumbs.db": 1,
        "hidden": 4,
        "__MACOSX": 1,
        ".ipynb_checkpoints": 1,
    }
    assert bad == {}


def test_a_file_without_an_ending_is_told_by_its_beginning(root):
    write(root, "1", "2.old", content=PNG)
    write(root, "3", content=b"notes")
    files, ignored, _ = walk(root)
    assert files == ["1"]
    assert ignored == {"ending .old": 1, "ending (none)": 1}


def test_links_within_the_folder_are_followed(root):
    write(root, "a/1.jpg", ".store/x.jpg", ".store/more/y.jpg")
    (root / "a" / "2.jpg").symlink_to(root / ".store" / "x.jpg")
    (root / "a" / "more").symlink_to("../.store/more")
    files, ignored, bad = walk(root)
    assert files == ["a/1.jpg", "a/2.jpg", "a/more/y.jpg"]
    assert ignored == {"hidden": 2} and bad == {}


def test_links_that_lead_out_are_quarantined_unless_their_folder_is_named(root, tmp_path):
    write(tmp_path, "other/1.jpg", "other/deep/2.jpg")
    (root / "1.jpg").symlink_to(tmp_path / "other" / "1.jpg")
    (root / "deep").symlink_to(tmp_path / "other" / "deep")
    files, ignored, bad = walk(root)
    assert (files, ignored) == ([], {})
    assert bad.keys() == {"1.jpg", "deep"}
    for name, reason in bad.items():
        assert f"leads by a link to {tmp_path / 'other' / name}, outside {root}" in reason
        assert "add its target folder to data.folders.allowed_roots" in reason
    assert walk(root, tmp_path / "other") == (["1.jpg", "deep/2.jpg"], {}, {})


def test_the_data_folder_may_itself_be_a_link(root, tmp_path):
    write(root, "a/1.jpg")
    (root / "a" / "2.jpg").symlink_to(root / "a" / "1.jpg")
    (tmp_path / "link").symlink_to(root)
    assert walk(tmp_path / "link")[0] == ["a/1.jpg", "a/2.jpg"]


def test_circles_end(root):
    write(root, "a/1.jpg", "b/2.jpg")
    (root / "a" / "again").symlink_to(root / "a")
    (root / "a" / "up").symlink_to(root)
    (root / "a" / "b").symlink_to(root / "b")
    (root / "b" / "a").symlink_to(root / "a")
    files, ignored, bad = walk(root)
    assert files[:3] == ["a/1.jpg", "a/b/2.jpg", "a/b/a/1.jpg"] and files[-1] == "b/2.jpg"
    assert set(ignored) == {"link to a folder that is read already"} and bad == {}


def test_what_is_no_file_is_quarantined_where_it_claims_to_be_a_picture(root):
    (root / "nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "nowhere").symlink_to(root / "gone")
    (root / "nowhere.txt").symlink_to(root / "gone.txt")
    (root / "round.png").symlink_to(root / "round.png")
    os.mkfifo(root / "pipe.jpg")
    os.mkfifo(root / "pipe")
    files, ignored, bad = walk(root)
    assert files == []
    assert ignored == {"ending .txt": 1, "ending (none)": 1}
    assert bad == {
        "nowhere": "a link that leads nowhere",
        "nowhere.jpg": "a link that leads nowhere",
        "pipe.jpg": "a pipe or device, not a file",
        "round.png": "a circular link",
    }


def test_a_folder_that_cannot_be_read_is_quarantined(root, monkeypatch):
    write(root, "a/1.jpg", "b/2.jpg")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, _, bad = walk(root)
    assert files == ["b/2.jpg"]
    assert bad == {"a": "a folder that cannot be read (Permission denied)"}
