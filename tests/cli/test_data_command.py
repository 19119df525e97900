"""`kft data` shows splits, classes and augmented pictures."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from PIL import Image

from kft.cli.main import main

SMALL = ("backbone.name=small_cnn", "backbone.weights=random")


@pytest.fixture
def photos(tmp_path, monkeypatch, make_picture_folder):
    monkeypatch.chdir(tmp_path)
    return make_picture_folder(tmp_path / "photos", per_class=5)


def run(*arguments: str):
    return CliRunner().invoke(main, ["data", *arguments])


def test_the_classes_of_every_split_are_counted(photos):
    result = run("photos")
    assert result.exit_code == 0, result.output
    assert "9 train, 3 validation, 3 holdout" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    for name in ("cat", "dog", "owl"):
        assert [name, "3", "1", "1"] in lines
    assert ["all", "9", "3", "3"] in lines


def test_labels_are_counted_and_numbers_have_their_range(photos):
    names = [f"cat/{i:03d}.png" for i in range(5)]
    lines = [f"{name},{i % 2},1,{i}.5" for i, name in enumerate(names)]
    (photos / "labels.csv").write_text("\n".join(["path,wet,old,age", *lines]) + "\n")
    keys = ("data.validation=0", "data.holdout=0")
    result = run("photos/labels.csv", "data.table.label_columns=[wet, old]", *keys)
    assert ["wet", "2", "0", "0"] in [line.split() for line in result.stdout.splitlines()]
    result = run("photos/labels.csv", "data.table.label_columns=[age]", "data.target=number", *keys)
    assert ["age", "0.5", "to", "4.5"] in [line.split() for line in result.stdout.splitlines()]


def test_conversions_and_unjudged_classes_are_noted(photos):
    for number in range(1, 5):
        (photos / "owl" / f"{number:03d}.png").unlink()
    result = run("photos")
    assert result.exit_code == 0, result.output
    assert "Note: learned but not judged" in result.stdout
    assert "1 class, owl (1 in train)" in result.stdout
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["owl", "1", "0", "0"] in lines
    refused = run("photos", "data.split.rare=refuse")
    assert refused.exit_code != 0
    rows = [f"cat/{i:03d}.png,{i % 2 == 0},{i % 2 == 1}" for i in range(5)]
    (photos / "labels.csv").write_text("\n".join(["path,wet,dry", *rows]) + "\n")
    result = run("photos/labels.csv", "data.table.label_columns=[wet, dry]", "data.holdout=0")
    assert "Note: 10 cells true/false in wet, dry read as 1 and 0." in result.stdout
    assert "so they are read as 2 classes" in result.stdout


@pytest.mark.parametrize("preset", [(), ("--preset", "trivial_augment")])
def test_augmented_pictures_are_drawn(photos, preset):
    result = run(
        "photos",
        *SMALL,
        "--show-augmented",
        "shown.png",
        "--pictures",
        "3",
        "--views",
        "2",
        *preset,
    )
    assert result.exit_code == 0, result.output
    assert f"shown.png: {preset[1] if preset else 'light'}, 2 views" in result.stdout
    with Image.open("shown.png") as sheet:
        assert sheet.size == (10 + 230 + 3 * 186, 72 + 3 * 186)


def test_the_size_of_an_application_is_known_without_its_weights(photos):
    result = run(
        "photos", "backbone.name=resnet50", "backbone.input_size=40", "--show-augmented", "a.png"
    )
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere"),
        (["photos", "--show-augmented", "a.jpg"], "must end in .png"),
        (["photos", "--show-augmented", "none/a.png"], "a file name in a folder that exists"),
        (["photos", "--show-augmented", "a.png", "--preset", "none"], "nothing to show"),
        (["photos", "--show-augmented", "a.png", "--preset", "storng"], "data.image.augmentation"),
        (["photos", "--show-augmented", "a.png", "backbone.input_size=8"], "backbone.input_size"),
        (["photos", "--views", "0"], "--views"),
    ],
)
def test_invalid_arguments_are_refused_with_the_reason(photos, arguments, message):
    before = sorted(photos.parent.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert sorted(photos.parent.rglob("*")) == before


def test_a_picture_that_does_not_decode_is_named(photos):
    (photos / "cat" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    result = run("photos")
    assert result.exit_code == 0
    assert "  - cat/broken.png: " in result.stdout
    refused = run("photos", "--on-invalid-file", "stop")
    assert refused.exit_code == 2
    assert "broken.png" in refused.stderr


@pytest.mark.parametrize("command", [["data"], ["audit", "--no-labels"], ["check", *SMALL]])
def test_folders_that_kft_writes_to_are_not_classes(photos, monkeypatch, command):
    monkeypatch.chdir(photos)
    for empty in ("runs/photos/just-begun", "saved_models"):
        (photos / empty).mkdir(parents=True)
    result = CliRunner().invoke(main, [command[0], ".", *command[1:]])
    assert result.exit_code == 0, result.output


def test_labels_that_were_joined_are_counted(photos):
    (photos / "cat").rename(photos / "cafe\u0301")
    result = run("photos", "data.class_aliases={owl: dog}")
    assert "2 classes: caf\u00e9, dog" in result.stdout
    assert "of 'owl' joined to 'dog': 5" in result.stdout
    assert "of a class in decomposed Unicode (NFD), read as composed: café: 5" in result.stdout
