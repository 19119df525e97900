"""A run of every dense task: stopped and resumed, exported, predicted, drawn, judged again."""

from __future__ import annotations

import hashlib
import io
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from masked import write_masks
from rich.console import Console
from squares import write_boxes

from kft.cli.answer_drawing import draw_answers
from kft.config import load_pipeline
from kft.display import Display
from kft.errors import ConfigError
from kft.examples import Quarantined
from kft.provenance import read_interrupted
from kft.run_operations.evaluate import evaluate_run
from kft.run_operations.predict import predict
from kft.runs.checkpoints import Checkpoints
from kft.training import load_trained
from kft.training.stopping import Interrupted
from kft.workflow import resume, train

pytestmark = pytest.mark.usefixtures("parity_in_this_process")
SIDE = 32
SMALL = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    f"backbone.input_size={SIDE}",
    "backbone.options.width=4",
    "training.global_batch_size=8",
    "data.image.augmentation=medium",
    "data.holdout=0.25",
    "data.validation=0.2",
)


# By the name of the task: what writes its data into a folder.
DATA: dict[str, Callable[[Path], None]] = {"detection": write_boxes, "segmentation": write_masks}


@pytest.fixture(scope="module", params=sorted(DATA))
def data(request, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("dense") / "data"
    DATA[request.param](root)
    return root


def configure(data, place: Path, *settings: str):
    folders = (f"runs_directory={place}/runs", f"export.directory={place}/saved_models")
    return load_pipeline(str(data), (*SMALL, *folders, *settings))


def make_display() -> Display:
    return Display(Console(file=io.StringIO(), force_terminal=False, width=200))


def run(data, place: Path, *settings: str, run_id: str | None = None):
    return train(configure(data, place, *settings), make_display(), run_id=run_id)


def digest(path) -> str:
    weights = load_trained(path).model.get_weights()
    return hashlib.sha256(b"".join(each.tobytes() for each in weights)).hexdigest()


@pytest.mark.full
def test_it_is_trained_exported_predicted_drawn_and_judged_again(data, tmp_path):
    finished = run(data, tmp_path, "strategy.name=lp_ft", "strategy.duration=2 epochs")
    assert finished.export.largest_difference <= 1e-3
    files = sorted(map(str, (data / "images").glob("*.png")))[:3]
    answers = [list(predict(path, files)) for path in (finished.run.path, finished.export.path)]
    for own, served in zip(*answers, strict=True):
        assert not isinstance(own, Quarantined) and not isinstance(served, Quarantined)
        assert list(own.values) == list(served.values)
        assert own.companion is not None and own.companion.shape == served.companion.shape
        differences = np.abs(own.companion.astype(float) - served.companion)
        # Two classes of a pixel may tie; sides are in pixels.
        assert (differences > 0.1).sum() <= 1e-3 * differences.size
    drawn = tmp_path / "drawn"
    assert len(list(draw_answers(answers[0], files, drawn, finished.run.path))) == 3
    assert len(list(drawn.glob("*.png"))) == 3
    again = evaluate_run(finished.run.path, make_display(), data=str(data))
    assert again["examples"] == 20


@pytest.mark.full
def test_a_run_that_is_stopped_goes_on_to_the_same_weights(data, tmp_path, monkeypatch):
    settings = (
        "strategy.name=full",
        "strategy.duration=3 epochs",
        "training.checkpoint_every=1 steps",
        "export.enabled=false",
    )
    whole = run(data, tmp_path, *settings, run_id="whole").run
    assert digest(run(data, tmp_path, *settings, run_id="again").run) == digest(whole)
    write, left = Checkpoints.write, [3]

    def stop_at_third(self, *arguments, **options):
        path = write(self, *arguments, **options)
        left[0] -= 1
        if not left[0]:
            raise Interrupted(signal.SIGTERM)
        return path

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "write", stop_at_third)
        with pytest.raises(Interrupted):
            run(data, tmp_path, *settings, run_id="stopped")
    stopped = tmp_path / "runs" / "data" / "stopped"
    assert digest(resume(read_interrupted(stopped), make_display()).run) == digest(whole)


def test_mixing_is_refused_by_the_task(data, tmp_path):
    for setting in ("training.mixup=0.2", "training.cutmix=0.2", "training.sampling=balanced"):
        with pytest.raises(ConfigError, match=rf"{setting.partition('=')[0]}: is for"):
            run(data, tmp_path, "strategy.name=full", setting)
