"""A run that is stopped anywhere and resumed ends with the weights of an undisturbed run."""

from __future__ import annotations

import io
import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from rich.console import Console

from kft.backbones import load_backbone, save_backbone
from kft.config import BackboneConfig, dump_pipeline, load_pipeline
from kft.display import Display
from kft.errors import ChangedRunError, DataError, RunError
from kft.provenance import read_interrupted
from kft.runs import RunDirectory
from kft.runs.checkpoints import Checkpoints, _list_digests
from kft.selection.blends import Blend
from kft.training import fold_decision, load_trained
from kft.training.stopping import Interrupted
from kft.workflow import resume, train
from kft.workflow.stages import Work

SMALL = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.input_size=16",
    "backbone.options.width=4",
    "training.global_batch_size=8",
    "training.checkpoint_every=1 steps",
    "export.enabled=false",
)
# Replaces random weights, with which `auto` would have nothing to choose.
PRETRAINED = "backbone.name=PRETRAINED"
# Each has state that could be lost: dropout, averages, epochs of patience, the best candidate.
KINDS = {
    "solved, then full": ("strategy.name=lp_ft", "strategy.duration=2"),
    "folds beside a validation that is judged": (
        PRETRAINED,
        "strategy.name=auto",
        "strategy.duration=14 steps",
        "training.schedule=plateau",
    ),
    "folds of all examples": (
        PRETRAINED,
        "strategy.name=auto",
        "strategy.duration=12 steps",
        "data.image.augmentation=light",
    ),
    "averages and the best epochs": (
        "strategy.name=lp_ft",
        "strategy.duration=3",
        # A probe with dropout cannot be solved.
        "strategy.probe_duration=1",
        "head.dropout=0.2",
        "training.ema=0.8",
        "training.early_stopping=2",
        "training.soup=2",
        "training.wise_ft=true",
        "training.mixup=0.3",
        "data.image.augmentation=light",
        "training.l2_sp=0.01",
    ),
    "low rank": (
        "strategy.name=lora",
        # A probe of every block would leave no loss on these pictures, so nothing would train.
        "strategy.probe_layers=last",
        "strategy.duration=2",
        "training.clip_norm=0.1",
    ),
    "one block after the other": (
        "strategy.name=gradual",
        "strategy.duration=3",
        "data.image.augmentation=light",
        "features.views=2",
    ),
    "the block that is best": ("strategy.name=surgical", "strategy.duration=2"),
    "float16": ("strategy.name=full", "strategy.duration=2", "training.precision=mixed_float16"),
}


def make_display() -> Display:
    return Display(Console(file=io.StringIO(), force_terminal=False, soft_wrap=True, width=200))


@pytest.fixture(scope="module")
def photos(tmp_path_factory, make_picture_folder) -> Path:
    return make_picture_folder(
        tmp_path_factory.mktemp("data") / "photos", classes=("cat", "dog"), per_class=22, size=16
    )


@pytest.fixture
def begin(photos, tmp_path, monkeypatch):
    """Make a function that trains in this folder and returns the run."""
    monkeypatch.chdir(tmp_path)

    def begin_run(*settings: str, run_id: str, data: Path = photos):
        return begin_there(data, *settings, run_id=run_id)

    return begin_run


def begin_there(data: Path, *settings: str, run_id: str) -> RunDirectory:
    """Train in the current folder."""
    own = SMALL
    if PRETRAINED in settings:
        own = (*(each for each in SMALL if not each.startswith("backbone.")), saved_backbone(data))
    settings = tuple(each for each in settings if each != PRETRAINED)
    pipeline = load_pipeline(str(data), (*own, *settings))
    return train(pipeline, make_display(), run_id=run_id).run


def saved_backbone(data: Path) -> str:
    """Make a backbone beside the data unless it exists, and return the setting that selects it."""
    path = data.parent / "backbone"
    if not path.exists():
        keras.utils.set_random_seed(0)
        options = {"width": 4}
        config = BackboneConfig(name="small_cnn", weights="random", input_size=16, options=options)
        save_backbone(load_backbone(config), path)
    return f"backbone.name={path}"


class StopAtWrite:
    """Raises `Interrupted` right after the n-th checkpoint, as if the process were stopped."""

    def __init__(self, monkeypatch, count: int) -> None:
        self._left = count
        write = Checkpoints.write

        def stop(store, *args, **options):
            path = write(store, *args, **options)
            self._left -= 1
            if self._left == 0:
                raise Interrupted(signal.SIGTERM)
            return path

        monkeypatch.setattr(Checkpoints, "write", stop)


def count_writes(monkeypatch, work) -> int:
    """Count the checkpoints that a call writes."""
    written = []
    write = Checkpoints.write
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "write", lambda *a, **o: (written.append(1), write(*a, **o))[1])
        work()
    return len(written)


def run_of(run_id: str) -> RunDirectory:
    return RunDirectory(Path("runs/photos", run_id))


def assert_equal_runs(one: RunDirectory, other: RunDirectory) -> None:
    weights = [load_trained(run).model.get_weights() for run in (one, other)]
    for a, b in zip(*weights, strict=True):
        assert np.array_equal(a, b)
    histories = [
        {p.parent.name: p.read_text() for p in run.path.glob("phases/*/history.csv")}
        for run in (one, other)
    ]
    assert histories[0] == histories[1]
    figures = [(run.evaluation("holdout") / "metrics.json").read_text() for run in (one, other)]
    assert figures[0] == figures[1]


@pytest.mark.full
def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_run(begin, monkeypatch):
    check_stops(KINDS["averages and the best epochs"], begin, monkeypatch, shares=(0.6,))


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stopped_anywhere_ends_with_the_same_weights(kind, begin, monkeypatch):
    check_stops(KINDS[kind], begin, monkeypatch, shares=(0.0, 0.3, 0.5, 0.8, 1.0))


def check_stops(settings, begin, monkeypatch, *, shares) -> None:
    """Stop after the given shares of all checkpoints, resume, and compare."""
    if PRETRAINED in settings:
        promise_a_gain(monkeypatch)
    total = count_writes(monkeypatch, lambda: begin(*settings, run_id="whole"))
    # Early, in the middle of an epoch, at the end of an epoch or phase, and at the very end.
    for count in sorted({max(1, round(share * total)) for share in shares}):
        run_id = f"stopped-{count}"
        with monkeypatch.context() as patch:
            StopAtWrite(patch, count)
            with pytest.raises(Interrupted, match=f"kft train --resume .*{run_id}"):
                begin(*settings, run_id=run_id)
        run = run_of(run_id)
        assert run.read_status()["state"] == "interrupted"
        display = make_display()
        resume(read_interrupted(run.path), display)
        assert "resuming a" in display.console.file.getvalue()
        assert_equal_runs(run_of("whole"), run)
        assert not run.checkpoints.exists()


def promise_a_gain(monkeypatch) -> None:
    """Let every fold decide for half of the fine-tuned weights, although the probe is right."""
    monkeypatch.setattr(fold_decision.FoldDecision, "is_needless", lambda *_: False)
    monkeypatch.setattr(Blend, "promises_gain", lambda *_: True)
    judge = fold_decision.judge_blends
    monkeypatch.setattr(
        fold_decision, "judge_blends", lambda *given: replace(judge(*given), share=0.5)
    )


@pytest.mark.full
def test_a_run_that_is_stopped_again_and_again_ends_the_same(begin, monkeypatch):
    settings = KINDS["solved, then full"]
    begin(*settings, run_id="whole")
    stops = 0
    with monkeypatch.context() as patch:
        StopAtWrite(patch, 2)
        with pytest.raises(Interrupted):
            begin(*settings, run_id="often")
    while True:
        with monkeypatch.context() as patch:
            StopAtWrite(patch, 2)
            try:
                resume(read_interrupted("runs/photos/often"), make_display())
                break
            except Interrupted:
                stops += 1
    assert stops >= 3
    assert_equal_runs(run_of("whole"), run_of("often"))


@pytest.fixture(scope="module")
def prepared(photos, tmp_path_factory) -> Path:
    """Create a folder with a run stopped within its second phase, and one named `whole`."""
    place = tmp_path_factory.mktemp("prepared")
    settings = KINDS["solved, then full"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        begin_there(photos, *settings, run_id="whole")
        # The first checkpoint follows the solved probe, the others three steps.
        StopAtWrite(patch, 4)
        with pytest.raises(Interrupted):
            begin_there(photos, *settings, run_id="stopped")
    return place


@pytest.fixture
def stopped(prepared, tmp_path, monkeypatch) -> RunDirectory:
    """Copy both runs for a single test."""
    shutil.copytree(prepared / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    return run_of("stopped")


def test_the_place_of_resumption_is_shown(stopped):
    display = make_display()
    resume(read_interrupted(stopped.path), display)
    assert "resuming at phase 2 of 2, epoch 1, step 4 of 8" in display.console.file.getvalue()
    resumed = json.loads(stopped.manifest.read_text())["resumed"]
    place = "at phase 2 of 2, epoch 1, step 4 of 8"
    assert resumed == [{"place": place, "accepted_changes": [], "workers": 1, "replicas": 1}]


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(stopped):
    newest = max(each for each in stopped.checkpoints.iterdir() if each.is_dir())
    (newest / "arrays.npz").write_bytes((newest / "arrays.npz").read_bytes()[:-9])
    display = make_display()
    resume(read_interrupted(stopped.path), display)
    said = display.console.file.getvalue()
    assert f"Checkpoint {newest.name} is damaged" in said
    assert "step 3 of 8" in said
    assert_equal_runs(run_of("whole"), stopped)
    assert (stopped.checkpoints / f"damaged-{newest.name}").is_dir()


@pytest.mark.full
def test_a_phase_is_repeated_without_the_checkpoint_of_the_phase_before(stopped):
    (between,) = stopped.checkpoints.glob("*-phase")
    (between / "state.json").unlink()
    display = make_display()
    resume(read_interrupted(stopped.path), display)
    assert "resuming at phase 1 of 2, at its beginning" in display.console.file.getvalue()
    assert_equal_runs(run_of("whole"), stopped)


@pytest.mark.full
def test_a_run_without_checkpoints_starts_over(stopped):
    shutil.rmtree(stopped.checkpoints)
    resume(read_interrupted(stopped.path), make_display())
    assert_equal_runs(run_of("whole"), stopped)


@pytest.mark.full
def test_changed_data_are_refused_with_the_changes(begin, photos, tmp_path, monkeypatch):
    data = tmp_path / "photos"
    shutil.copytree(photos, data)
    settings = KINDS["solved, then full"]
    with monkeypatch.context() as patch:
        StopAtWrite(patch, 3)
        with pytest.raises(Interrupted):
            begin(*settings, run_id="stopped", data=data)
    shutil.copy(data / "cat/003.png", tmp_path / "kept.png")
    (data / "cat/003.png").unlink()
    with pytest.raises(RunError, match=r"something has changed(.|\n)*data: gone: cat/003\.png"):
        resume(read_interrupted("runs/photos/stopped"), make_display())
    resume(read_interrupted("runs/photos/stopped"), make_display(), accept_changes=True)
    run = run_of("stopped")
    (resumed,) = json.loads(run.manifest.read_text())["resumed"]
    assert any("cat/003.png" in change for change in resumed["accepted_changes"])
    assert "cat/003.png" not in run.splits.read_text()


@pytest.mark.full
def test_a_file_with_changed_content_is_refused(begin, photos, tmp_path, monkeypatch):
    data = tmp_path / "photos"
    shutil.copytree(photos, data)
    with monkeypatch.context() as patch:
        StopAtWrite(patch, 3)
        with pytest.raises(Interrupted):
            begin(*KINDS["solved, then full"], run_id="stopped", data=data)
    picture = data / "cat/003.png"
    picture.write_bytes((data / "cat/004.png").read_bytes())
    with pytest.raises(RunError, match="data: files or their contents have changed"):
        resume(read_interrupted("runs/photos/stopped"), make_display())


@pytest.mark.full
def test_changed_settings_and_versions_are_refused_with_both_values(stopped):
    with pytest.raises(RunError, match=r"training.label_smoothing: 0.0 -> 0.1") as caught:
        changed = read_interrupted(stopped.path, ["training.label_smoothing=0.1"])
        resume(changed, make_display())
    assert "--accept-changes" in str(caught.value)
    manifest = json.loads(stopped.manifest.read_text())
    manifest["versions"]["keras"] = "3.0.0"
    stopped.manifest.write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r'version of keras: "3.0.0" -> '):
        resume(read_interrupted(stopped.path), make_display())
    assert stopped.read_status()["state"] == "interrupted"


@pytest.mark.full
def test_accepted_settings_are_saved_in_the_run(stopped):
    changed = read_interrupted(stopped.path, ["training.label_smoothing=0.1"])
    resume(changed, make_display(), accept_changes=True)
    assert "label_smoothing: 0.1" in stopped.pipeline.read_text()


def change_checkpoint(path: Path, change) -> None:
    """Write a checkpoint with another state, and with digests that agree."""
    state = json.loads((path / "state.json").read_text())
    change(state)
    (path / "state.json").write_text(json.dumps(state))
    (path / "digests.json").write_text(_list_digests(path))


@pytest.mark.parametrize(
    "kind, change, said",
    [
        ("step", lambda state: state["parts"].pop("CompiledPhase"), "KeyError: 'CompiledPhase'"),
        ("step", lambda state: state.pop("steps"), "KeyError: 'steps'"),
        ("phase", lambda state: state["fitted"][0].pop("unmoved"), "KeyError: 'unmoved'"),
        ("phase", lambda state: state["fitted"][0].update(speed=1), "TypeError: .*'speed'"),
    ],
)
def test_a_checkpoint_of_another_version_is_named_with_what_to_do(stopped, kind, change, said):
    path = sorted(stopped.checkpoints.glob(f"*-{kind}"))[-1]
    change_checkpoint(path, change)
    with pytest.raises(RunError, match=rf"^{path}: .*{said}.*remove {path.parent} and resume"):
        resume(read_interrupted(stopped.path), make_display(), accept_changes=True)


def test_a_checkpoint_of_another_optimizer_is_named(stopped):
    changed = read_interrupted(stopped.path, ["training.optimizer=sgd"])
    with pytest.raises(RunError, match=r"does not fit .* values for \d+ optimizer variables"):
        resume(changed, make_display(), accept_changes=True)


@pytest.mark.full
def test_a_run_resumes_from_another_folder_with_moved_data(stopped, photos, tmp_path, monkeypatch):
    moved = shutil.copytree(photos, tmp_path / "moved" / "photos")
    monkeypatch.chdir(tmp_path / "moved")
    resume(read_interrupted(Path("..") / stopped.path, data="photos"), make_display())
    monkeypatch.chdir(tmp_path)
    assert_equal_runs(run_of("whole"), stopped)
    assert f"path: {moved}" in stopped.pipeline.read_text()
    (resumed,) = json.loads(stopped.manifest.read_text())["resumed"]
    assert resumed["data"] == str(moved)


def test_different_data_are_not_accepted_as_moved_data(stopped, photos, tmp_path):
    other = shutil.copytree(photos, tmp_path / "other" / "photos")
    (other / "cat/003.png").rename(other / "cat/other.png")
    with pytest.raises(ChangedRunError, match=r"gone: cat/003\.png(.|\n)*new: cat/other\.png"):
        resume(read_interrupted(stopped.path, data=str(other)), make_display())
    with pytest.raises(DataError, match=r"data of this run were not found(.|\n)*--data PATH"):
        resume(read_interrupted(stopped.path, data=str(tmp_path / "nowhere")), make_display())


def test_a_finished_run_and_a_locked_run_are_refused(stopped):
    with pytest.raises(RunError, match="the run is finished; there is nothing to resume"):
        resume(read_interrupted(run_of("whole").path), make_display())
    with stopped.hold(), pytest.raises(RunError, match=r"process \d+ is writing into this run"):
        resume(read_interrupted(stopped.path), make_display())


def test_a_run_that_stopped_before_its_records_cannot_be_resumed(begin, photos, monkeypatch):
    def fail(work):
        raise Interrupted(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Work, "write_records", fail)
        with pytest.raises(Interrupted):
            begin(*KINDS["solved, then full"], run_id="early")
    run = run_of("early")
    run.pipeline.write_text(dump_pipeline(load_pipeline(str(photos), SMALL)))
    with pytest.raises(RunError, match="stopped before it had written its manifest"):
        resume(read_interrupted(run.path), make_display())
