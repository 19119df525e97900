"""Bad input ends with one clear message, the right exit code, and nothing left behind."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from kft.cli.main import main


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(main, list(arguments))


def refused(place: Path, *arguments: str, exit_code: int = 2) -> str:
    """Return the message of a refusal, after checking that no files were left behind."""
    before = sorted(place.rglob("*"))
    result = run(*arguments)
    assert result.exit_code == exit_code, result.output
    assert "Traceback" not in result.output
    assert result.stderr.rstrip().splitlines()
    assert sorted(place.rglob("*")) == before
    return result.stderr


def picture(path: Path, colour: tuple[int, int, int] = (200, 30, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), colour).save(path)


def photos(place: Path, classes: tuple[str, ...] = ("cat", "dog"), per_class: int = 6) -> Path:
    for index, name in enumerate(classes):
        for number in range(per_class):
            picture(place / "photos" / name / f"{number}.png", (40 * index, 20 * number, 90))
    return place / "photos"


SMALL = ("backbone.name=small_cnn", "backbone.weights=random")


def test_a_missing_folder(place):
    message = refused(place, "train", "nowhere", *SMALL)
    assert "nowhere" in message


def test_a_folder_without_classes(place):
    picture(place / "photos" / "lonely.png")
    assert "class" in refused(place, "train", "photos", *SMALL)


def test_a_single_class(place):
    photos(place, ("cat",))
    assert "one class" in refused(place, "train", "photos", *SMALL).lower()


def test_an_empty_class(place):
    (photos(place) / "owl").mkdir()
    assert "owl" in refused(place, "train", "photos", *SMALL)


def test_an_unreadable_picture(place):
    (photos(place) / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing more")
    message = refused(place, "train", "photos", *SMALL, "--on-invalid-file", "stop")
    assert "broken.jpg" in message


def test_an_unknown_backbone_is_answered_with_a_similar_name(place):
    photos(place)
    message = refused(place, "train", "photos", "backbone.name=resnet5")
    assert "resnet50" in message
    assert "kft backbones" in message


def test_an_unknown_block_is_answered_with_the_blocks(place):
    photos(place)
    message = refused(
        place,
        "train",
        "photos",
        *SMALL,
        "strategy.name=phases",
        "strategy.phases=[{trainable: [stage9]}]",
    )
    assert "strategy.phases[0].trainable" in message
    assert "stem, stage1, stage2, stage3, stage4, head" in message


def test_weights_that_do_not_fit(place):
    import keras

    photos(place)
    inputs = keras.Input((4,))
    other = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    other.save_weights(place / "other.weights.h5")
    message = refused(
        place, "train", "photos", "backbone.name=small_cnn", "backbone.weights=other.weights.h5"
    )
    assert "other.weights.h5" in message


def test_missing_weights(place):
    photos(place)
    message = refused(
        place, "train", "photos", "backbone.name=small_cnn", "backbone.weights=gone.weights.h5"
    )
    assert "gone.weights.h5" in message


def test_wrong_yaml_names_line_and_column(place):
    (place / "bad.yaml").write_text("data:\n  path: [photos\n")
    message = refused(place, "train", "bad.yaml")
    assert "bad.yaml, line 3, column 1" in message


def test_a_missing_pipeline_file(place):
    assert "gone.yaml" in refused(place, "train", "gone.yaml")


def test_all_problems_of_a_pipeline_are_reported_at_once(place):
    (place / "bad.yaml").write_text(
        "trainig: {}\ndata: {validation: 2}\nbackbone: {nmae: x}\nstrategy: {name: magic}\n"
    )
    message = refused(place, "train", "bad.yaml")
    assert "4 problems" in message
    for path in ("trainig", "data.validation", "backbone.nmae", "strategy.name"):
        assert path in message


def test_an_override_without_a_value(place):
    assert "key.path=value" in refused(place, "train", "photos", "training.seed")


def test_a_run_directory_that_exists(place):
    photos(place)
    (place / "runs" / "photos" / "first").mkdir(parents=True)
    message = refused(place, "train", "photos", *SMALL, "--run-id", "first")
    assert "runs/photos/first" in message
    assert "--run-id" in message


@pytest.mark.parametrize("run_id", ["../escaped", "a/b", "", "/tmp/elsewhere"])
def test_an_invalid_run_id(place, run_id):
    photos(place)
    assert "Allowed are letters" in refused(place, "train", "photos", *SMALL, "--run-id", run_id)


def test_a_phase_name_that_leaves_its_folder(place):
    message = refused(
        place, "train", "photos", "strategy.name=phases", "strategy.phases=[{name: ../x}]"
    )
    assert "strategy.phases[0].name" in message


def test_a_phase_that_trains_nothing(place):
    phases = "strategy.phases=[{trainable: []}]"
    message = refused(place, "train", "photos", "strategy.name=phases", phases)
    assert "strategy.phases[0].trainable" in message


def test_numbers_asked_of_class_folders(place):
    photos(place)
    assert "data.target" in refused(place, "train", "photos", *SMALL, "data.target=number")


def test_an_export_directory_that_is_a_file(place):
    photos(place)
    (place / "taken").write_text("")
    message = refused(place, "train", "photos", *SMALL, "export.directory=taken")
    assert "export.directory" in message


@pytest.mark.parametrize("verb", ["evaluate", "export"])
def test_a_run_that_does_not_exist(place, verb):
    assert "kft runs" in refused(place, verb, "runs/none")


def test_predicting_with_neither_a_run_nor_an_export(place):
    picture(place / "cat.png")
    assert "neither a run" in refused(place, "predict", "nothing", "cat.png")


def test_a_batch_size_below_one(place):
    photos(place)
    message = refused(place, "train", "photos", *SMALL, "training.global_batch_size=0")
    assert "training.global_batch_size" in message


def test_a_demo_into_a_folder_that_exists(place):
    (place / "kft-demo").mkdir()
    assert "kft-demo" in refused(place, "demo")


def test_debug_shows_the_traceback(place):
    from kft.errors import DataError

    result = CliRunner().invoke(main, ["--debug", "train", "nowhere", *SMALL])
    assert isinstance(result.exception, DataError)
