"""Names from a user become files: folders are walked, patterns matched, lists read."""

import io
import os
import sys

import pytest

from kft.data.file_patterns import find_named_files
from kft.errors import DataError
from kft.modalities import load_modality

IMAGES = load_modality("image")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """photos/{a.jpg, b.png, notes.txt, .hidden.jpg, cat/c.jpg, cat/deep/d.jpg}."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "b.png", "notes.txt", ".hidden.jpg", "cat/c.jpg", "cat/deep/d.jpg"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


ALL = ("photos/a.jpg", "photos/b.png", "photos/cat/c.jpg", "photos/cat/deep/d.jpg")


def test_a_folder_is_all_pictures_below_it_and_the_rest_is_counted(place):
    found = find_named_files(["photos"], IMAGES)
    assert found.files == ALL
    assert found.ignored == {"hidden": 1, "ending .txt": 1}


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("photos/*.jpg", ("photos/a.jpg",)),
        ("photos/**/*.jpg", ("photos/a.jpg", "photos/cat/c.jpg", "photos/cat/deep/d.jpg")),
        ("photos/?.*", ("photos/a.jpg", "photos/b.png")),
        ("photos/[ab].png", ("photos/b.png",)),
        # As the shell would: a matched folder is walked.
        ("photos/c*", ("photos/cat/c.jpg", "photos/cat/deep/d.jpg")),
    ],
)
def test_a_pattern_is_what_it_matches(place, pattern, files):
    assert find_named_files([pattern], IMAGES).files == files


def test_a_pattern_that_matches_a_folder_and_what_is_in_it_names_each_file_once(place):
    found = find_named_files(["photos/**"], IMAGES)
    assert sorted(found.files) == sorted(ALL)
    assert found.ignored == {"hidden": 1, "ending .txt": 1}
    assert find_named_files(["photos/*"], IMAGES).ignored == {"ending .txt": 1}


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(place):
    (place / "a[1].jpg").write_bytes(b"")
    (place / "a1.jpg").write_bytes(b"")
    assert find_named_files(["a[1].jpg"], IMAGES).files == ("a[1].jpg",)


def test_order_and_repetition_are_kept(place):
    names = ["photos/b.png", "photos/a.jpg", "photos/b.png", "gone.jpg"]
    assert find_named_files(names, IMAGES).files == tuple(names)
    assert find_named_files(["photos/a.jpg", "photos"], IMAGES).files == ("photos/a.jpg", *ALL)


@pytest.mark.parametrize("name", ["photos/*.bmp", "nowhere/**/*.jpg", "photos/*.txt"])
def test_a_pattern_without_pictures_is_refused_by_name(place, name):
    with pytest.raises(DataError) as caught:
        find_named_files(["photos/a.jpg", name], IMAGES)
    assert str(caught.value).startswith(f"{name}: ")


def test_a_folder_without_pictures_is_refused_with_what_is_there(place):
    (place / "papers").mkdir()
    (place / "papers" / "one.pdf").write_bytes(b"")
    with pytest.raises(DataError, match=r"papers: there are no pictures \(1 ending \.pdf\)"):
        find_named_files(["papers"], IMAGES)


def test_a_list_names_a_file_or_folder_on_each_line(place, monkeypatch):
    written = "\ufeffphotos/b.png\r\n\nphotos/cat\n a b.jpg\nphotos/*.jpg"
    expected = ("photos/b.png", "photos/cat/c.jpg", "photos/cat/deep/d.jpg", " a b.jpg")
    # In a list a star is a letter: it was written by a program.
    expected = (*expected, "photos/*.jpg")
    (place / "list.txt").write_text(written, encoding="utf-8", newline="")
    assert find_named_files([], IMAGES, ["list.txt"]).files == expected
    for names, lists in ((["-"], []), ([], ["-"])):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(written.encode())))
        assert find_named_files(names, IMAGES, lists).files == expected


def test_a_name_in_a_list_that_is_not_utf8_is_kept_to_the_byte(place):
    (place / "list.txt").write_bytes(b"caf\xe9.jpg\n")
    (name,) = find_named_files([], IMAGES, ["list.txt"]).files
    assert os.fsencode(name) == b"caf\xe9.jpg"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the list is empty"),
        (b"\n \n", "the list is empty"),
        ("a.jpg".encode("utf-16"), "UTF-8"),
        (b"a.jpg\0b.jpg", "one path per line"),
        (None, "there is no such file"),
    ],
)
def test_a_list_that_is_none_is_refused_by_name(place, content, said):
    if content is not None:
        (place / "list.txt").write_bytes(content)
    with pytest.raises(DataError, match=rf"list\.txt: .*{said}"):
        find_named_files([], IMAGES, ["list.txt"])


def test_remote_places_are_refused_wherever_they_are_named(place):
    (place / "list.txt").write_text("https://example.org/a.jpg\n")
    for names, lists in (
        (["gs://bucket/a.jpg"], []),
        (["s3://bucket/*.jpg"], []),
        ([], ["list.txt"]),
        ([], ["gs://bucket/list.txt"]),
    ):
        with pytest.raises(DataError, match="local files only"):
            find_named_files(names, IMAGES, lists)


def test_links_of_a_named_folder_may_lead_anywhere(place, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far.jpg").write_bytes(b"")
    (place / "photos" / "cat" / "link.jpg").symlink_to(elsewhere / "far.jpg")
    (place / "photos" / "more").symlink_to(elsewhere)
    (place / "photos" / "nowhere.jpg").symlink_to(elsewhere / "gone.jpg")
    found = find_named_files(["photos"], IMAGES)
    assert {"photos/cat/link.jpg", "photos/more/far.jpg"} <= set(found.files)
    assert [(bad.name, bad.reason) for bad in found.quarantined] == [
        ("photos/nowhere.jpg", "a link that leads nowhere")
    ]


def test_a_name_that_is_too_long_for_the_disk_is_left_to_the_gate(place):
    name = "x" * 5000
    assert find_named_files([name], IMAGES).files == (name,)
