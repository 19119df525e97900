"""Every command and code block in the documents runs as written."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from masked import write_masks
from recordings import make_tone, make_wav
from reviews import write_reviews
from squares import write_boxes

from kft.cli.main import main
from kft.config import load_pipeline
from kft.modalities.video.moving_shapes import write_clips

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Not ours to run: they install, start what runs these tests, need a container engine or a cluster.
NOT_OURS = ("pip install", "tox", "docker run", "kubectl", "sbatch")
SCALE = ROOT / "docs" / "scale.md"
# Documents whose commands `tox -e full` runs from the first to the last.
RUN = {
    *("README.md", "audio.md", "detection.md", "explain.md", "guide.md", "segmentation.md"),
    *("text.md", "video.md"),
}
# Run by tests/cli/test_audit.py; and below, as far as one machine can.
RUN_ELSEWHERE = {"audit.md", "scale.md"}


def commands_of(document: Path) -> list[str]:
    blocks = re.findall(r"```console\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    lines = "\n".join(blocks).splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def own_commands() -> list[str]:
    """List the distinct kft commands of all documents."""
    every = [command for document in DOCUMENTS for command in commands_of(document)]
    return sorted({command for command in every if not command.startswith(NOT_OURS)})


def run_all(document: Path) -> list[str]:
    """Run the kft commands of a document in order; returns their outputs."""
    assert document.name in RUN
    printed = []
    for command in commands_of(document):
        if command.startswith(NOT_OURS):
            continue
        program, *arguments = shlex.split(command)
        assert program == "kft", command
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}"
        printed.append(result.stdout)
    return printed


def test_every_document_with_commands_is_run_in_some_tier():
    with_commands = {document.name for document in DOCUMENTS if commands_of(document)}
    assert with_commands == RUN | RUN_ELSEWHERE
    assert len(own_commands()) >= 40


@pytest.mark.parametrize("command", [c for c in own_commands() if c.startswith("kft ")])
def test_a_documented_command_is_understood(command):
    _, verb, *arguments = shlex.split(command)
    outer = main.make_context("kft", [verb, *arguments])
    named = main.get_command(outer, verb)
    assert named is not None, verb
    context = named.make_context(verb, list(arguments), parent=outer)
    settings = [*context.params.get("overrides", ())]
    assert load_pipeline(None, settings)


def test_the_first_screen_of_the_readme_says_how_to_start_and_how_to_test():
    first_screen = "\n".join((ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40])
    assert "pip install . && kft demo" in first_screen
    assert "pip install tox && tox" in first_screen


@pytest.mark.full
def test_the_guide(tmp_path, monkeypatch, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=15, size=24)
    rows = [
        f"photos/{path.parent.name}/{path.name},{path.parent.name}"
        for path in sorted((tmp_path / "photos").rglob("*.png"))
    ]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    monkeypatch.chdir(tmp_path)
    guide = ROOT / "docs" / "guide.md"
    assert len(run_all(guide)) >= 15
    code = re.findall(r"```python\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    for block in code:
        exec(compile(block, "guide.md", "exec"), {})


@pytest.mark.full
def test_the_page_on_texts(tmp_path, monkeypatch):
    write_reviews(tmp_path)
    monkeypatch.chdir(tmp_path)
    trained, listed, audited, pretrained, from_own = run_all(ROOT / "docs" / "text.md")
    assert float(re.search(r"Holdout\s+accuracy ([\d.]+)", trained)[1]) > 0.8
    assert "word_vectors" in listed and "resnet50" not in listed
    assert "Latin" in audited
    assert "runs/reviews.csv/words/backbone" in pretrained and "Holdout" in from_own


@pytest.mark.full
def test_the_page_on_recordings(tmp_path, monkeypatch):
    for name, hertz in (("low", 400.0), ("high", 2000.0)):
        (tmp_path / "recordings" / name).mkdir(parents=True)
        for number in range(20):
            tone = make_tone(hertz * (1 + 0.01 * number), seconds=0.3)
            (tmp_path / "recordings" / name / f"{number}.wav").write_bytes(make_wav(tone))
    monkeypatch.chdir(tmp_path)
    assert len(run_all(ROOT / "docs" / "audio.md")) >= 4


@pytest.mark.full
def test_the_page_on_explanations(tmp_path, monkeypatch, make_picture_folder):
    make_picture_folder(tmp_path / "photos", classes=("cat", "dog"), per_class=15, size=24)
    monkeypatch.chdir(tmp_path)
    assert len(run_all(ROOT / "docs" / "explain.md")) >= 7
    page = (tmp_path / "runs/photos/first/evaluation/holdout/report.html").read_text()
    assert "Why these answers?" in page and "What does it endure?" in page
    assert (tmp_path / "comparison.html").is_file()


@pytest.mark.full
def test_the_page_on_masks(tmp_path, monkeypatch):
    write_masks(tmp_path / "streets")
    monkeypatch.chdir(tmp_path)
    assert len(run_all(ROOT / "docs" / "segmentation.md")) >= 5
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 20


@pytest.mark.full
def test_the_page_on_videos(tmp_path, monkeypatch):
    write_clips(tmp_path / "clips", 12)
    monkeypatch.chdir(tmp_path)
    assert len(run_all(ROOT / "docs" / "video.md")) == 6


@pytest.mark.full
def test_the_page_on_boxes(tmp_path, monkeypatch):
    write_boxes(tmp_path / "shapes")
    monkeypatch.chdir(tmp_path)
    assert len(run_all(ROOT / "docs" / "detection.md")) >= 5
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 20
    assert len(list((tmp_path / "shapes_coco" / "annotations").glob("*.json"))) == 3


@pytest.mark.full
def test_the_tour_of_the_readme(place_of_the_tour):
    readme = ROOT / "README.md"
    printed = run_all(readme)
    (code,) = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, readme.name, "exec"), names)
    assert names["run"].metrics["examples"] == 152
    accuracy = float(re.search(r"Holdout\s+accuracy ([\d.]+)", "\n".join(printed))[1])
    assert accuracy >= 0.86


@pytest.mark.parametrize("command", commands_of(SCALE))
def test_several_machines(command):
    program, *arguments = shlex.split(command)
    missing = [
        word for word in arguments if word.startswith("docs/") and not (ROOT / word).is_file()
    ]
    assert not missing
    if program == "kft":
        # It takes several devices or processes: asked is only whether it would be understood.
        usage = "".join(
            CliRunner().invoke(main, [verb, "--help"]).stdout for verb in {"train", arguments[0]}
        )
        assert all(word in usage for word in arguments if word.startswith("--"))
        load_pipeline(None, [word for word in arguments if "=" in word])
    else:
        assert command.startswith(NOT_OURS)
