"""Paths of tables that were written elsewhere, or lack a folder or an ending."""

from __future__ import annotations

import re
import shlex
import unicodedata

import pytest

from kft.config import DataConfig, TableConfig, load_pipeline
from kft.data.sources.table import find_table
from kft.data.sources.table_paths import find_other_form
from kft.errors import DataError


@pytest.fixture
def home(tmp_path):
    """Folder two levels deep, so that its neighbours belong to this test."""
    (tmp_path / "home" / "tables").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def write(home):
    """Write empty files, and a table that lists paths; returns the table."""

    def write(files, paths, folder="."):
        for name in files:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(b"")
        lines = [f"{path},{'ab'[number % 2]}" for number, path in enumerate(paths)]
        table = home / folder / "t.csv"
        table.write_text("\n".join(["path,label", *lines]) + "\n", encoding="utf-8")
        return table

    return write


def find(table, **settings):
    return find_table(DataConfig(path=str(table), table=TableConfig(**settings)))


def refusal(table, **settings) -> str:
    with pytest.raises(DataError) as error:
        find(table, **settings)
    return str(error.value)


LAYOUTS = {
    "an ending": (["0.jpg", "1.jpg"], ["0", "1"], ".", "data.table.ending=.jpg"),
    "a folder": (["x/0.png", "x/1.png"], ["0.png", "1.png"], ".", "data.table.folder=x"),
    "both": (
        ["train_images/000a.jpg", "train_images/000b.jpg"],
        ["000a", "000b"],
        ".",
        "data.table.folder=train_images data.table.ending=.jpg",
    ),
    "a folder whose name is a number": (
        ["2020/0.jpg", "2020/1.jpg"],
        ["0", "1"],
        ".",
        "data.table.folder='\"2020\"' data.table.ending=.jpg",
    ),
    "a folder with a space": (
        ["my pics/0.jpg", "my pics/1.jpg"],
        ["0.jpg", "1.jpg"],
        ".",
        "data.table.folder='my pics'",
    ),
    "folders below that": (
        ["x/a/0.jpg", "x/b/1.jpg"],
        ["a/0", "b/1"],
        ".",
        "data.table.folder=x data.table.ending=.jpg",
    ),
    "a folder beside the table's own": (
        ["x/0.jpg", "x/1.jpg"],
        ["0.jpg", "1.jpg"],
        "tables",
        "data.table.folder=../x",
    ),
    "the folder above": (["x/0.jpg", "x/1.jpg"], ["x/0.jpg", "x/1.jpg"], "tables", "folder=.."),
    "another machine's": (
        ["train/0.jpg", "train/1.jpg"],
        ["/kaggle/input/birds/train/0.jpg", "/kaggle/input/birds/train/1.jpg"],
        ".",
        "data.table.remove_prefix=/kaggle/input/birds/",
    ),
    "another machine's, elsewhere here": (
        ["x/0.jpg", "x/1.jpg"],
        ["/kaggle/input/birds/train/0.jpg", "/kaggle/input/birds/train/1.jpg"],
        ".",
        "data.table.folder=x data.table.remove_prefix=/kaggle/input/birds/train/",
    ),
    "Windows'": (
        ["pics/a/0.jpg", "pics/b/1.jpg"],
        ["C:\\Users\\me\\pics\\a\\0.jpg", "C:\\Users\\me\\pics\\b\\1.jpg"],
        ".",
        "data.table.remove_prefix='C:\\Users\\me\\'",
    ),
}


@pytest.mark.parametrize(("files", "paths", "folder", "settings"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_settings_that_would_find_missing_pictures_are_named_and_do(
    write, files, paths, folder, settings
):
    table = write(files, paths, folder)
    message = refusal(table)
    assert f"{settings} (finds 2 of 2 missing pictures)" in message
    advised = re.search(r"set (data\.table\..*) \(finds", message)[1]
    pipeline = load_pipeline(str(table), shlex.split(advised))
    assert len(find_table(pipeline.data).examples) == 2


def test_a_path_is_used_as_it_is_where_it_has_the_ending_or_is_absolute(write, home):
    table = write(["x/0.jpg", "x/1.JPG", "2.jpg"], ["0", "1.JPG", f"{home}/2"])
    found = find(table, folder="x", ending=".jpg")
    assert found.examples.ids == ("x/0.jpg", "x/1.JPG", "2.jpg")


def test_where_most_pictures_are_missing_the_settings_that_find_them_are_named(write):
    names = [f"{number}.jpg" for number in range(5)]
    found = find(write([*names[:2], *(f"x/{name}" for name in names[2:])], names))
    assert len(found.examples) == 2
    assert found.notes == (
        "x/2.jpg exists: set data.table.folder=x (finds 3 of 3 missing pictures).",
    )


def test_where_most_are_found_no_settings_are_named_that_would_lose_them(write):
    found = find(write(["0.jpg", "1.jpg", "x/2.jpg"], ["0.jpg", "1.jpg", "2.jpg"]))
    assert (len(found.examples), found.notes) == (2, ())


def test_settings_that_are_wrong_are_said_to_be_left_out(write, home):
    table = write(["0.jpg", "1.jpg"], ["0.jpg", "1.jpg"])
    (home / "empty").mkdir()
    assert "0.jpg exists: remove data.table.folder (finds 2" in refusal(table, folder="empty")
    assert "data.table.folder: " in refusal(table, folder="nowhere")
    assert "no path of the table begins with '/kaggle'" in refusal(table, remove_prefix="/kaggle")


def test_names_that_differ_otherwise_are_shown(write):
    message = refusal(write(["x/IMG_0.JPG", "x/b.png"], ["x/img_0.jpg", "x/b.jpg"]))
    assert "x/IMG_0.JPG exists, but its name differs" in message


def test_nothing_is_said_where_nothing_like_it_exists(write):
    message = refusal(write(["x/other.jpg"], ["0", "1"]))
    assert "exists" not in message
    assert message.count("there is no such file") == 2


def test_backslashes_are_read_as_slashes_where_that_leads_to_a_file(write):
    found = find(
        write(["x/0.jpg", "x/1.jpg", "odd\\name.jpg"], ["x\\0.jpg", "x\\1.jpg", "odd\\name.jpg"])
    )
    assert found.examples.ids == ("x/0.jpg", "x/1.jpg", "odd\\name.jpg")
    assert found.notes == ("2 paths written with \\ in place of /; the file was found.",)


@pytest.mark.parametrize(("on_disk", "in_table"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_the_other_unicode_form_of_a_name_is_found_and_counted(write, on_disk, in_table):
    names = ["Käfer/é.jpg", "Käfer/ü.jpg"]
    files = [unicodedata.normalize(on_disk, name) for name in names]
    table = write(files, [unicodedata.normalize(in_table, name) for name in names])
    found = find(table)
    assert found.examples.ids == tuple(files)
    assert found.notes == (
        "2 paths written in a Unicode form that differs from the file's name; the file was found.",
    )


def test_parts_of_a_path_may_differ_in_their_form(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    (tmp_path / composed).mkdir()
    file = tmp_path / composed / decomposed
    file.write_bytes(b"")
    assert find_other_form(str(tmp_path / decomposed / composed)) == str(file)
    assert find_other_form(str(tmp_path / decomposed / "gone")) is None
