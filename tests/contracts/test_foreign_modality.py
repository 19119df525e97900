"""A modality and its backbone from elsewhere: read, trained, judged, served, resumed, audited."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kft.auditing.auditing import audit_data
from kft.backbones import BACKBONES, register_backbone
from kft.config import DataConfig, Pipeline, load_pipeline
from kft.data import load_splits
from kft.data.admission.check_files import check_files
from kft.data.batches import reading
from kft.data.batches.decoded import make_decoded_cache
from kft.data.batches.pipeline import make_dataset
from kft.data.batches.reading import translate_read_errors
from kft.display import Display
from kft.errors import DataError
from kft.examples import Examples, Files, Values
from kft.modalities import MODALITIES, load_modality, register_modality
from kft.modalities.checked import to_examples
from kft.run_operations.evaluate import evaluate_run
from kft.serving import ExportedModel
from kft.workflow import train

SMALL = (
    "backbone.name=convolutional",
    "backbone.weights=random",
    "training.global_batch_size=16",
    "features.engine=keras",
)


@pytest.fixture(scope="module", autouse=True)
def registered():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MODALITIES, "_entries", dict(MODALITIES))
        patch.setattr(BACKBONES, "_entries", dict(BACKBONES))
        register_modality("series", "foreign.series:SeriesModality")
        register_backbone("convolutional", "foreign.convolutional:load")
        yield
    del DataConfig.model_fields["series"]
    DataConfig.model_rebuild(force=True)
    Pipeline.model_fields["data"].default = DataConfig()
    Pipeline.model_rebuild(force=True)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Rising and falling tables of 8 to 20 rows, and one file that holds no numbers."""
    folder = tmp_path_factory.mktemp("series") / "tables"
    generator = np.random.default_rng(0)
    for name, slope in (("rising", 0.2), ("falling", -0.2)):
        (folder / name).mkdir(parents=True)
        for index in range(24):
            rows = generator.integers(8, 21)
            values = slope * np.arange(rows)[:, np.newaxis] + generator.normal(size=(rows, 2))
            text = "\n".join(",".join(f"{number:.3f}" for number in row) for row in values)
            (folder / name / f"{index}.series").write_text(text)
    (folder / "rising" / "words.series").write_text("one,two\n")
    return folder


def load(tables, place, *overrides):
    own = (f"runs_directory={place}/runs", f"export.directory={place}/saved_models")
    return load_pipeline(str(tables), (*SMALL, *own, *overrides))


def read_phases(finished):
    paths = sorted(finished.run.path.glob("phases/*/phase.json"))
    phases = [json.loads(path.read_text()) for path in paths]
    return {phase["name"]: phase for phase in phases}


def test_elements_are_the_same_from_memory_disk_and_files(tables):
    config = load_pipeline(str(tables), SMALL).data
    splits, modality = load_splits(config), load_modality("series")
    decoder = modality.make_decoder(modality.input_spec(10, 2), config.series)
    batches = []
    for mode in ("memory", "disk", "none"):
        cache = make_decoded_cache(
            splits.train, decoder, mode=mode, megabytes=1, content_key="k", limit_gigabytes=1
        )
        inputs, _ = next(iter(make_dataset(splits.train, decoder, batch_size=4, cache=cache)))
        assert {name: each.dtype.name for name, each in inputs.items()} == {
            "values": "float32",
            "padding_mask": "int32",
        }
        batches.append({name: value.numpy().tolist() for name, value in inputs.items()})
    assert batches[0] == batches[1] == batches[2]


def test_values_in_memory_are_checked_decoded_and_answered_like_files(tables, monkeypatch):
    config = load_pipeline(str(tables), SMALL).data
    paths = tuple(str(path) for path in sorted(tables.rglob("*.series")))
    contents = tuple(Path(path).read_bytes() for path in paths)
    targets = np.zeros(len(paths), np.int64)
    found, batches = [], []
    modality = load_modality("series")
    decoder = modality.make_decoder(modality.input_spec(10, 2), config.series)
    for inputs, limit in ((Files(paths), 0), (Values(contents), 10**6), (Values(contents), 0)):
        monkeypatch.setattr(reading, "_LARGEST_CONSTANT_BYTES", limit)
        outcomes = check_files(Examples(paths, inputs, targets), config)
        found.append([getattr(outcome, "reason", outcome.digest) for outcome in outcomes[:-1]])
        assert outcomes[-1].reason == "not numbers: could not convert string to float: 'one'"
        examples = to_examples(outcomes[:-1], targets[:-1])
        assert isinstance(examples.inputs, type(inputs))
        assert Examples.join([examples.take([1]), examples.take([0])]).ids == (paths[1], paths[0])
        read, _ = next(iter(make_dataset(examples, decoder, batch_size=5)))
        batches.append({name: each.numpy().tolist() for name, each in read.items()})
    assert found[0] == found[1] == found[2]
    assert batches[0] == batches[1] == batches[2]
    broken = Examples(("table.csv, line 3",), Values((b"1,2,x",)), targets[:1])
    with (
        pytest.raises(DataError, match=r"table\.csv, line 3"),
        translate_read_errors(broken, decoder),
    ):
        list(make_dataset(broken, decoder, batch_size=1))


@pytest.mark.usefixtures("parity_in_this_process")
def test_it_is_probed_fine_tuned_judged_exported_and_evaluated_again(tables, tmp_path):
    pipeline = load(tables, tmp_path, "strategy.name=lp_ft", "strategy.duration=4 epochs")
    finished = train(pipeline, Display())
    assert list(read_phases(finished)) == ["linear_probe", "full"]
    assert finished.evaluation.figures["accuracy"] >= 0.9
    assert (finished.run.path / "quarantine.csv").read_text().count("rising/words.series") == 1
    assert finished.export.largest_difference <= 1e-5
    paths = [str(path) for path in sorted(tables.rglob("?.series"))[:3]]
    for answer in ExportedModel(finished.export.path).answer(paths, Files(tuple(paths))):
        assert sum(answer.values.values()) == pytest.approx(1, abs=1e-5)
    assert evaluate_run(finished.run.path, Display(), data=str(tables))["examples"] == 48


def test_hidden_states_and_their_mask_are_stored_and_trained_from(tables, tmp_path):
    pipeline = load(
        tables,
        tmp_path,
        "strategy.name=top_k",
        "strategy.top_blocks=1",
        "strategy.duration=4 epochs",
        "export.enabled=false",
    )
    finished = train(pipeline, Display())
    assert read_phases(finished)["top_k"]["computed_from"] == "stem"
    stored = {path.name for path in Path(os.environ["KFT_CACHE_DIR"]).rglob("features/*/*.npy")}
    assert {"stem.npy", "padding_mask.npy"} <= stored
    assert finished.evaluation.figures["accuracy"] >= 0.9


def test_it_is_audited_in_its_own_words(tables):
    found = audit_data(load_pipeline(str(tables), SMALL), Display(), with_labels=True)
    assert [group.total for group in found.overview.groups] == [24, 24, 48]


TRAIN = """
import sys
from kft.cli.main import main
from kft.backbones import register_backbone
from kft.modalities import register_modality
register_modality("series", "foreign.series:SeriesModality")
register_backbone("convolutional", "foreign.convolutional:load")
main()
"""


@pytest.mark.full
def test_a_killed_process_is_resumed_to_the_same_weights(tables, tmp_path):
    def start(*arguments):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", TRAIN, "train", *arguments]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)

    own = ("strategy.name=full", "strategy.duration=240 steps", "export.enabled=false")
    own = (str(tables), *SMALL, *own, "training.checkpoint_every=20 steps")
    assert start(*own, "runs_directory=whole").wait() == 0
    killed = start(*own, "runs_directory=killed")
    while not any((tmp_path / "killed").glob("*/*/checkpoints/*-best")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (run,) = (tmp_path / "killed").glob("*/*")
    assert start("--resume", str(run)).wait() == 0
    digests = [digest_weights(*(tmp_path / name).glob("*/*")) for name in ("whole", "killed")]
    assert digests[0] == digests[1]


def digest_weights(run: Path) -> str:
    with zipfile.ZipFile(run / "model.keras") as model:
        return hashlib.sha256(model.read("model.weights.h5")).hexdigest()
