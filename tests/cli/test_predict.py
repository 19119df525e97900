"""`kft predict` prints whole file names, respects --top, and answers all usable files."""

import csv
import json

import pytest
from click.testing import CliRunner
from PIL import Image

import kft.run_operations.asked_model
import kft.run_operations.predict
from kft.cli.answer_output import describe_answer
from kft.cli.main import main
from kft.config import DataConfig
from kft.examples import Quarantined
from kft.serving import Answer
from kft.tasks import find_task

CLASSES = {"cat": 0.2, "dog": 0.7, "owl": 0.06, "yak": 0.04}
LABELS = {"wet": 0.3, "old": 0.9, "red": 0.55, "big": 0.1, "new": 0.52, "far": 0.51}
NUMBERS = {"age": 31.25, "height": 170.5}


@pytest.mark.parametrize(
    ("values", "kind", "top", "words"),
    [
        (CLASSES, "class", None, ("dog 0.700", "cat 0.200, owl 0.060")),
        (CLASSES, "class", 1, ("dog 0.700", "")),
        (CLASSES, "class", 9, ("dog 0.700", "cat 0.200, owl 0.060, yak 0.040")),
        (LABELS, "labels", None, ("old 0.900, red 0.550, new 0.520, far 0.510", "")),
        (LABELS, "labels", 2, ("old 0.900, red 0.550", "")),
        (LABELS, "labels", 5, ("old 0.900, red 0.550, new 0.520, far 0.510", "wet 0.300")),
        ({"a": 0.5, "b": 0.1}, "labels", None, ("(none above 0.5)", "a 0.500, b 0.100")),
        (NUMBERS, "number", 1, ("age 31.25, height 170.5", "")),
    ],
)
def test_the_most_probable_names_come_first_up_to_top(values, kind, top, words):
    assert describe_answer(Answer("a.jpg", values, find_task(kind)), top) == words


@pytest.fixture
def ask(tmp_path, monkeypatch):
    """Run `kft predict` with a model that answers all files except 'bad*'."""
    monkeypatch.chdir(tmp_path)
    answered = {"values": CLASSES, "kind": "class"}

    def predict(path, files, *, say):
        for file in files:
            if file.rpartition("/")[2].startswith("bad"):
                yield Quarantined(file, file, "the file is empty")
            else:
                yield Answer(file, answered["values"], find_task(answered["kind"]))

    monkeypatch.setattr(kft.run_operations.predict, "predict", predict)
    monkeypatch.setattr(kft.run_operations.asked_model, "read_config", lambda path: DataConfig())

    def run(*arguments, values=CLASSES, kind="class", given=None):
        answered.update(values=values, kind=kind)
        return CliRunner().invoke(main, ["predict", "runs/r", *arguments], input=given)

    return run


def pictures(place, *names):
    for name in names:
        path = place / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path, "PNG")


def test_a_pipe_gets_one_line_per_file_with_its_whole_name(ask, tmp_path):
    long = "a_folder_with_a_long_name/" * 9 + "IMG_20240101_120000_HDR_0001.png"
    pictures(tmp_path, long, "b.png")
    result = ask("photos")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "file\tanswer\talso",
        f"photos/{long}\tdog 0.700\tcat 0.200, owl 0.060",
        "photos/b.png\tdog 0.700\tcat 0.200, owl 0.060",
    ]


def test_a_bad_file_of_many_is_named_and_the_others_are_answered(ask, tmp_path):
    pictures(tmp_path, "a.png", "bad.png", "c.png")
    (tmp_path / "photos" / "notes.txt").write_text("")
    result = ask("photos")
    assert result.exit_code == 1
    assert [line.split("\t")[0] for line in result.stdout.splitlines()[1:]] == [
        "photos/a.png",
        "photos/c.png",
    ]
    assert result.stderr.splitlines() == [
        "Ignored: ending .txt: 1",
        "photos/bad.png: the file is empty",
        "1 of 3 files could not be answered.",
    ]


def test_json_has_a_record_for_every_file(ask, tmp_path):
    pictures(tmp_path, "a.png", "bad.png")
    result = ask("photos/bad.png", "photos/a.png", "photos/a.png", "--json")
    assert result.exit_code == 1
    good = {"file": "photos/a.png", "answer": "dog", "values": CLASSES}
    bad = {"file": "photos/bad.png", "error": "the file is empty"}
    assert [json.loads(line) for line in result.stdout.splitlines()] == [bad, good, good]
    (line,) = ask("photos/a.png", "--json", "--top", "2").stdout.splitlines()
    assert list(json.loads(line)["values"]) == ["dog", "cat"]
    (line,) = ask("photos/a.png", "--json", values=LABELS, kind="labels").stdout.splitlines()
    assert json.loads(line)["answer"] == ["old", "red", "new", "far"]
    (line,) = ask("photos/a.png", "--json", values=NUMBERS, kind="number").stdout.splitlines()
    assert json.loads(line) == {"file": "photos/a.png", "values": NUMBERS}


def test_csv_has_a_record_for_every_file_and_columns_that_no_class_name_equals(ask, tmp_path):
    pictures(tmp_path, "a.png", "bad.png")
    values = {"file": 0.4, "answer": 0.35, "error": 0.25}
    result = ask("photos/bad.png", "photos/a.png", "photos/bad.png", "--csv", values=values)
    bad, good, again = csv.DictReader(result.stdout.splitlines())
    assert good == {
        "file": "photos/a.png",
        "answer": "file",
        "error": "",
        "probability file": "0.4",
        "probability answer": "0.35",
        "probability error": "0.25",
    }
    assert bad == again
    assert (bad["file"], bad["error"]) == ("photos/bad.png", "the file is empty")
    assert bad.keys() == good.keys()
    (ranked,) = csv.DictReader(ask("photos/a.png", "--csv", "--top", "2").stdout.splitlines())
    assert (ranked["name_2"], ranked["probability_2"]) == ("cat", "0.2")
    assert "name_3" not in ranked


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_the_exit_code_is_two_if_no_file_can_be_answered(ask, tmp_path, form):
    pictures(tmp_path, "bad.png")
    result = ask("photos", *form)
    assert result.exit_code == 2
    assert "photos/bad.png: the file is empty" in result.stderr
    assert "none of the files could be answered" in result.stderr
    assert ("the file is empty" in result.stdout) == bool(form)


def test_files_come_from_standard_input_patterns_and_lists(ask, tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    (tmp_path / "list.txt").write_text("photos/b.png\n")
    for arguments, given in (
        (("-",), "photos/b.png\nphotos/a.png\n"),
        (("photos/[b]*", "photos/a.png"), None),
        (("photos/b.png", "--from", "-"), "photos/a.png\n"),
        (("--from", "list.txt", "photos/b.png"), None),
    ):
        result = ask(*arguments, given=given)
        assert result.exit_code == 0, result.output
        first, second = result.stdout.splitlines()[1:]
        assert first.startswith("photos/b.png\t")
        assert second.startswith("photos/")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--from"),
        (("photos/*.jpg",), "photos/*.jpg"),
        (("https://example.org/a.jpg",), "https"),
        (("a.jpg", "--json", "--csv"), "one of them"),
    ],
)
def test_invalid_arguments_are_refused_by_name(ask, arguments, said):
    result = ask(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not result.stdout


def test_a_remote_model_is_refused_by_its_scheme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pictures(tmp_path, "a.png")
    result = CliRunner().invoke(main, ["predict", "gs://bucket/model", "photos"])
    assert result.exit_code == 2
    assert "gs" in result.stderr
    assert "local" in result.stderr


def test_remarks_on_many_files_are_counted(ask, tmp_path, monkeypatch):
    pictures(tmp_path, *(f"{i:02d}.png" for i in range(14)))
    answer = kft.run_operations.predict.predict

    def predict(path, files, *, say):
        for file in files:
            say(file, ("turned upright",))
        return answer(path, files, say=say)

    monkeypatch.setattr(kft.run_operations.predict, "predict", predict)
    monkeypatch.setattr(kft.run_operations.asked_model, "read_config", lambda path: DataConfig())
    lines = ask("photos").stderr.splitlines()
    assert lines[:10] == [f"photos/{i:02d}.png: turned upright" for i in range(10)]
    assert lines[10:] == ["and 4 more: turned upright"]
