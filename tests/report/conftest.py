"""Run directories made of files alone: nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from made_answers import Answers, draw_classes
from PIL import Image

from kft.config import DataConfig, Pipeline, dump_pipeline
from kft.evaluation.judgement import judge
from kft.evaluation.ladder import LearningPoint, Rung, write_ladder
from kft.evaluation.prediction_files import write_tables
from kft.evaluation.slices import Column, write_slices
from kft.runs import RunDirectory
from kft.runs.atomic import write_json, write_text
from kft.statistics import Difference
from kft.tasks import find_task


@pytest.fixture(scope="session")
def make_run(tmp_path_factory) -> Callable[..., Path]:
    """Write a finished run: task word and answers -> path of the run."""

    def make(word: str, answers: Answers, *, num_pictures: int = 4) -> Path:
        names, targets, outputs = answers
        task = find_task(word)
        place = tmp_path_factory.mktemp("report")
        run = RunDirectory(place / "runs" / "photos" / "first")
        files = [f"folder/{place:05d}.png" for place in range(len(targets))]
        (place / "photos" / "folder").mkdir(parents=True)
        for file in files[:num_pictures]:
            Image.new("RGB", (48, 32), (200, 120, 30)).save(place / "photos" / file)
        pipeline = Pipeline(data=DataConfig(path=str(place / "photos")))
        write_text(run.pipeline, dump_pipeline(pipeline))
        run.write_status("finished", holdout="")
        write_json(
            run.manifest,
            {
                "data_fingerprint": "0" * 64,
                "backbone": {"source": "made up", "licence": "none"},
                "hardware": {"cpus": 2, "machine": "x86_64"},
                "versions": {"kft": "0.1.0", "tensorflow": "2.21.0"},
                "working_directory": str(place),
            },
        )
        lines = ["split,id,target"]
        lines += [
            f"{split},{file}-{split},{task.format(target, names)}"
            for split in ("train", "holdout")
            for file, target in zip(files, targets, strict=True)
        ]
        write_text(run.splits, "\n".join(lines) + "\n")
        run.model.write_bytes(b"0" * 1000)
        folder = run.evaluation("holdout")
        write_json(
            folder / "metrics.json",
            judge(task, names, targets, outputs, train_targets=targets),
        )
        values = task.figures.lead_values(targets, outputs, targets)
        parity = Column([str(place % 2) for place in range(len(targets))])
        write_slices(folder, {"parity": parity}, values, is_share=task.is_stratified)
        write_tables(folder, task.figures.tabulate(names, files, targets, outputs))
        phase = {"trainable": ["head"], "seconds": 3.0, "is_undone": False, "steps_done": 30}
        write_json(
            run.phase(0, "linear_probe") / "phase.json",
            {**phase, "name": "linear_probe", "method": "solve"},
        )
        comparison = {
            "accuracy": {"gain": 0.05, "low": 0.01, "high": 0.09},
            "loss": {"gain": 0.1, "low": 0.0, "high": 0.2},
            "is_better": True,
        }
        write_json(
            run.phase(1, "full") / "phase.json",
            {**phase, "name": "full", "method": "fit", "comparison": comparison},
        )
        rungs = [
            Rung("majority", 0.4, (0.3, 0.5), 0.0, 12, Difference(0.5, 0.4, 0.6)),
            Rung("layered probe", 0.81, (0.7, 0.89), 2.0, 9_000_000, Difference(0.05, 0.01, 0.09)),
            Rung("this model (fine-tuned)", 0.86, (0.8, 0.9), 90.0, 9_000_000),
        ]
        write_ladder(folder, rungs, [LearningPoint(n, 0.02 + n**-0.5, 0.02) for n in (25, 50, 100)])
        history = "epoch,loss,val_loss\n1,0.9,0.8\n2,0.5,0.6\n3,0.4,0.55\n"
        write_text(run.phase(1, "full") / "history.csv", history)
        return run.path

    return make


@pytest.fixture(scope="session")
def class_run(make_run) -> Path:
    return make_run("class", draw_classes())
