"""For any files in a folder, every file is counted, and no command ends in a traceback."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from pathlib import Path

import pytest
from corpus import COPIES, IGNORED, KINDS, NUM_PLAIN, Kind, make_turned, write_corpus
from rich.console import Console

from kft.auditing import audit_data
from kft.config import load_pipeline
from kft.data import load_splits
from kft.display import Display
from kft.errors import DataError, KftError
from kft.examples import Files
from kft.run_operations import predict as verbs
from kft.run_operations.evaluate import evaluate_run
from kft.workflow import describe_data, stages, train

OVERRIDES = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=32",
    "backbone.options.width=4",
    "strategy.name=linear_probe",
    "training.global_batch_size=16",
    "export.enabled=false",
)
BAD = {f"train/cat/{kind.shown_name}": kind.reason for kind in KINDS if kind.reason} | COPIES


def make_display() -> Display:
    return Display(Console(file=io.StringIO(), force_terminal=False, soft_wrap=True, width=200))


def make_pipeline(folder: Path, *more: str):
    overrides = (*OVERRIDES, f"runs_directory={folder.parent}/runs", *more)
    return load_pipeline(str(folder), overrides)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_picture_folder) -> Path:
    root = tmp_path_factory.mktemp("corpus") / "photos"
    write_corpus(root, make_picture_folder)
    return root


@pytest.fixture(scope="module")
def trained(folder):
    """Train on all of them; returns the run and its output."""
    display = make_display()
    finished = train(make_pipeline(folder), display)
    return finished, display.console.file.getvalue()


def count_files(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(os.fsencode(folder)))


def read_quarantine(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file"]: row["reason"] for row in csv.DictReader(file)}


def test_there_are_kinds_enough():
    assert len(KINDS) + len(IGNORED) + len(COPIES) >= 60
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_training_names_every_file_that_it_leaves_out(trained):
    finished, _ = trained
    found = read_quarantine(finished.run.quarantine)
    assert found.keys() == BAD.keys()
    for name, reason in BAD.items():
        assert re.search(reason, found[name]), (name, found[name])


def test_training_uses_every_other_file_once(trained, folder):
    finished, _ = trained
    with finished.run.splits.open(encoding="utf-8", newline="") as file:
        used = [row["id"] for row in csv.DictReader(file)]
    good = [f"train/cat/{kind.name}" for kind in KINDS if kind.reason is None]
    assert len(used) == len(set(used)) == 4 * NUM_PLAIN + len(good) + 1
    assert set(good) < set(used)
    assert not set(used) & set(BAD)


def test_the_numbers_add_up(trained, folder):
    _, said = trained
    total = count_files(folder)
    used = total - len(BAD) - len(IGNORED)
    expected = (
        f"Files: {total} found = {used} used + {len(BAD)} quarantined + {len(IGNORED)} ignored"
    )
    assert expected in said
    for reason in IGNORED.values():
        assert f"{reason}: 1" in said


def test_what_was_converted_or_is_worth_a_word_is_counted(trained):
    _, said = trained
    repaired = [reason for kind in KINDS for reason in kind.repaired]
    noticed = [word for kind in KINDS for word in kind.noticed]
    lines = {line.partition(":")[0]: line for line in said.splitlines()}
    for reason in set(repaired):
        assert f"{reason}: {repaired.count(reason)}" in lines["Repaired"]
    for word in set(noticed):
        assert f"{word}: {noticed.count(word)}" in lines["Noticed"]


def test_the_eight_orientations_stay_on_one_side(trained):
    finished, _ = trained
    with finished.run.splits.open(encoding="utf-8", newline="") as file:
        splits = {row["split"] for row in csv.DictReader(file) if "/exif_" in row["id"]}
    assert len(splits) == 1


def test_a_user_who_wants_to_stop_is_told_ten_kinds_of_reason(folder):
    with pytest.raises(DataError, match="pictures cannot be used") as caught:
        load_splits(make_pipeline(folder, "data.on_invalid_file=stop").data, decode=False)
    listed, rest = str(caught.value).rsplit("\n  and ", 1)
    assert re.search(r"\d+ more, for \d+ other reasons", rest)
    # Of a kind with few files each has a line of its own.
    assert 10 <= listed.count("\n  - ") <= 30


def test_evaluation_accounts_for_every_file(trained, folder):
    finished, _ = trained
    display = make_display()
    evaluate_run(finished.run.path, display, data=str(folder))
    said = display.console.file.getvalue()
    # Given splits do not matter here: what is in two of them is judged twice.
    bad = {name: reason for name, reason in BAD.items() if "leak" not in name}
    found = read_quarantine(finished.run.evaluation(f"other-{folder.name}") / "quarantine.csv")
    assert found.keys() == bad.keys()
    total = count_files(folder)
    used = total - len(bad) - len(IGNORED)
    assert f"Files: {total} found = {used} used + {len(bad)} quarantined" in said


def test_an_audit_accounts_for_every_file(folder):
    audit = audit_data(make_pipeline(folder), make_display()).describe()
    found = {finding["kind"]: finding["files"] for finding in audit["findings"]}
    bad = {file["name"]: file["note"] for file in found["quarantined"]}
    assert bad.keys() == BAD.keys()
    for name, reason in BAD.items():
        assert re.search(reason, bad[name]), (name, bad[name])
    total = count_files(folder)
    used = total - len(BAD) - len(IGNORED)
    assert (audit["num_found"], audit["num_used"]) == (total, used)
    converted = {file["name"]: file["note"] for file in found["converted"]}
    noticed = {file["name"]: file["note"] for file in found["noticed"]}
    for kind in KINDS:
        name = f"train/cat/{kind.shown_name}"
        assert converted.get(name, "") == ", ".join(kind.repaired)
        assert noticed.get(name, "") == ", ".join(kind.noticed)
    across = {file["name"] for file in found["duplicate_splits"]}
    assert across == {"train/dog/leak.jpg", "val/dog/judged.jpg"}
    assert {file["name"] for file in found["duplicate_labels"]} == {
        "train/cat/both.jpg",
        "train/dog/both.jpg",
    }


@pytest.fixture(scope="module")
def ask(trained):
    """Ask the run about files; its model is loaded once."""
    run = trained[0].run
    loaded = verbs.load_trained(run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verbs, "load_trained", lambda opened: loaded)
        yield lambda *files, **options: verbs.predict(run.path, [str(f) for f in files], **options)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.shown_name[:30])
def test_prediction_answers_or_says_why_not(kind: Kind, ask, tmp_path):
    (tmp_path / "a" / "b" / "c").mkdir(parents=True)
    path = kind.write(tmp_path / "a" / "b" / "c")
    words: list[tuple[str, ...]] = []
    # A link may lead anywhere: the user named this very file.
    if kind.reason is None or kind.name == "escaping.jpg":
        (tmp_path / "outside.jpg").write_bytes(make_turned(1))
        (answer,) = ask(path, say=lambda file, said: words.append(said))
        assert answer.file == str(path)
        assert sum(answer.values.values()) == pytest.approx(1, abs=1e-5)
        for word in (*(f"converted ({reason})" for reason in kind.repaired), *kind.noticed):
            assert word in words[0]
        assert bool(words) == bool(kind.repaired or kind.noticed)
        return
    (bad,) = ask(path)
    expected = kind.reason.replace("a pipe or device", "a folder, pipe or device")
    assert re.search(expected, bad.reason)
    assert kind.shown_name in bad.name


def test_bad_files_are_named_in_their_places_and_the_others_answered(ask, tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "good.jpg").write_bytes(make_turned(1))
    files = [tmp_path / name for name in ("empty.jpg", "good.jpg", "gone.jpg", "good.jpg")]
    empty, good, gone, again = ask(*files)
    assert (empty.name, empty.reason) == (str(files[0]), "the file is empty")
    assert (gone.name, gone.reason) == (str(files[2]), "there is no such file")
    assert good == again
    assert good.file == str(files[1])


def test_a_file_that_is_spoilt_after_it_was_checked_costs_its_own_answer_alone(
    ask, tmp_path, monkeypatch
):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        (tmp_path / name).write_bytes(make_turned(1))
    check = verbs.check_files

    def check_then_spoil(*arguments, **options):
        outcomes = check(*arguments, **options)
        (tmp_path / "b.jpg").write_bytes(b"nothing")
        return outcomes

    monkeypatch.setattr(verbs, "check_files", check_then_spoil)
    first, spoilt, last = ask(*(tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")))
    assert spoilt.name == str(tmp_path / "b.jpg")
    assert "changed" in spoilt.reason or "written anew" in spoilt.reason
    assert first.values == pytest.approx(last.values, abs=1e-6)


@pytest.fixture(scope="module")
def turned(tmp_path_factory) -> list[str]:
    """Write one photograph in the eight EXIF orientations."""
    root = tmp_path_factory.mktemp("turned")
    for i in range(1, 9):
        (root / f"{i}.jpg").write_bytes(make_turned(i))
    return [str(root / f"{i}.jpg") for i in range(1, 9)]


def assert_same(answers) -> None:
    first = answers[0].values
    for answer in answers[1:]:
        assert answer.values == pytest.approx(first, abs=1e-3), answer.file


def test_a_run_gives_one_answer_to_eight_orientations(ask, turned):
    assert_same(list(ask(*turned)))


def test_an_export_gives_one_answer_to_eight_orientations(trained, turned, tmp_path):
    from kft.serving import ExportedModel
    from kft.serving.signatures import ServedModel
    from kft.training import load_trained

    loaded = load_trained(trained[0].run)
    served = ServedModel(loaded.model, loaded.head, loaded.decoder)
    served.save(tmp_path)
    assert_same(ExportedModel(tmp_path).answer(turned, Files(tuple(turned))))


@pytest.mark.parametrize("happens", ["vanishes", "is rewritten"])
def test_a_file_that_changes_while_a_run_goes_on_ends_it(
    happens, tmp_path, make_picture_folder, monkeypatch
):
    folder = make_picture_folder(tmp_path / "photos", classes=("cat", "dog"))
    write_records = stages.Work.write_records

    def change(work):
        write_records(work)
        path = folder / "cat" / "003.png"
        if happens == "vanishes":
            path.unlink()
        else:
            shutil.copy(folder / "dog" / "003.png", path)

    monkeypatch.setattr(stages.Work, "write_records", change)
    with pytest.raises(DataError, match=r"cat/003\.png: (there is no such file|written anew)"):
        train(make_pipeline(folder), make_display(), run_id="changed")
    assert "failed" in (tmp_path / "runs/photos/changed/status.json").read_text(encoding="utf-8")


def empty_a_class(folder: Path) -> None:
    shutil.rmtree(folder / "cat")
    (folder / "cat").mkdir()


def leave_one_class(folder: Path) -> None:
    shutil.rmtree(folder / "cat")


def leave_one_picture(folder: Path) -> None:
    for path in sorted((folder / "cat").iterdir())[1:]:
        path.unlink()


def damage_a_class(folder: Path) -> None:
    for path in (folder / "cat").iterdir():
        path.write_bytes(b"")


def damage_everything(folder: Path) -> None:
    for path in folder.rglob("*.png"):
        path.write_bytes(b"")


def copy_a_class(folder: Path) -> None:
    shutil.rmtree(folder / "cat")
    shutil.copytree(folder / "dog", folder / "cat")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (empty_a_class, r"no pictures in class folder cat\. kft reads .* or add pictures"),
        (leave_one_class, r"one class folder, 'dog'; classification needs at least two"),
        (leave_one_picture, r"class '?cat'? has 1 example"),
        (damage_a_class, r"no picture of class cat can be used(.|\n)*the file is empty"),
        (damage_everything, r"20 of 20 pictures cannot be used.*Nothing is left"),
        (copy_a_class, r"20 of 20 pictures(.|\n)*which is labelled 'dog', not 'cat'"),
    ],
)
def test_a_folder_that_cannot_be_learned_from_is_refused_with_what_to_do(
    change, message, tmp_path, make_picture_folder
):
    folder = make_picture_folder(tmp_path / "photos", classes=("cat", "dog"))
    change(folder)
    with pytest.raises(KftError, match=message):
        load_splits(make_pipeline(folder).data, decode=False)


def test_classes_have_their_index_by_name_whatever_their_order(tmp_path, make_picture_folder):
    make_picture_folder(tmp_path / "photos/train", classes=("dog", "cat"))
    make_picture_folder(tmp_path / "photos/val", classes=("cat", "dog"), per_class=3, size=24)
    splits = load_splits(make_pipeline(tmp_path / "photos").data, decode=False)
    assert splits.class_names == ("cat", "dog")
    for split in (splits.train, splits.validation, splits.holdout):
        for name, target in zip(split.ids, split.targets, strict=True):
            assert splits.class_names[target] in name
    assert any("0 quarantined" in line for line in describe_data(splits))
