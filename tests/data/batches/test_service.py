"""Data workers make the batches that this process would have made, each once, in any order."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kft.config import load_pipeline
from kft.data.batches.mixing import Mixing
from kft.data.batches.pipeline import make_dataset
from kft.data.batches.reading import translate_read_errors
from kft.data.batches.service import DataService, ServiceError
from kft.display import Display
from kft.errors import ConfigError, DataError
from kft.examples import Examples, Files
from kft.modalities import load_modality
from kft.modalities.image.decoding import ImageDecoder
from kft.provenance import read_interrupted
from kft.workers import Cluster
from kft.workflow import resume, train
from kft.workflow.plan import make_plan

DECODER = ImageDecoder(8, 8)
NUM_EXAMPLES = 11
GUIDE = Path(__file__).parents[3] / "docs" / "guide.md"
tf_service = tf.data.experimental.service


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a dispatcher and two data workers within this process."""
    dispatcher = tf_service.DispatchServer()
    address = dispatcher.target.removeprefix("grpc://")
    # Short, or a worker that is to end may wait for half a minute.
    patience = {"heartbeat_interval_ms": 100, "dispatcher_timeout_ms": 1000}
    config = tf_service.WorkerConfig(address, **patience)
    workers = [tf_service.WorkerServer(config) for _ in range(2)]
    yield address
    del workers, dispatcher


@pytest.fixture(scope="module")
def photos(tmp_path_factory, make_picture_folder) -> Path:
    folder = tmp_path_factory.mktemp("data") / "photos"
    return make_picture_folder(folder, classes=("cat", "dog"), per_class=15, size=16)


@pytest.fixture(scope="module")
def paths(photos) -> list[Path]:
    return sorted(photos.rglob("*.png"))[:NUM_EXAMPLES]


def describe(paths: list[Path]) -> Examples:
    stamps = tuple((path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    names = tuple(str(path) for path in paths)
    return Examples(names, Files(names, stamps), np.arange(len(paths), dtype=np.int64))


def read(batches: tf.data.Dataset, service: DataService, name_files=nullcontext) -> list:
    with service.translate_errors(name_files):
        return list(batches.as_numpy_iterator())


@pytest.mark.parametrize(("sampling", "start_step"), [("natural", 0), ("balanced", 4)])
def test_each_batch_of_two_epochs_comes_once_with_the_same_pixels(
    paths, address, sampling, start_step
):
    make = partial(
        make_dataset,
        describe(paths),
        DECODER,
        # 11 examples: the last batch of an epoch has 3.
        batch_size=4,
        shuffle_seed=7,
        sampling=sampling,
        epochs=2,
        start_step=start_step,
        augmentation=load_modality("image").make_augmentation("light"),
        mixing=Mixing(NUM_EXAMPLES, mixup=0.5, cutmix=0.5),
        seed=7,
    )
    service = DataService(f"grpc://{address}")
    served, alone = make(service=service), make()
    assert served.element_spec == alone.element_spec
    assert int(served.cardinality()) == int(alone.cardinality())

    def sort(batches: list) -> list[bytes]:
        return sorted(inputs["pixels"].tobytes() + targets.tobytes() for inputs, targets in batches)

    assert sort(read(served, service)) == sort(list(alone.as_numpy_iterator()))


def test_an_order_that_nobody_promises_is_refused_where_one_is_asked_for():
    with pytest.raises(ConfigError, match=r"^pipeline: data\.service: .*deterministic=false, or"):
        load_pipeline("photos", ["data.service=decoders:5050"])


def test_several_workers_are_refused(tmp_path):
    settings = ["data.service=decoders:5050", "training.deterministic=false"]
    cluster = Cluster(("127.0.0.1:1", "127.0.0.1:2"), 0)
    with pytest.raises(ConfigError, match=r"^data\.service: several workers must read parts"):
        make_plan(load_pipeline(str(tmp_path), settings), Display(), cluster=cluster)


def test_where_nobody_listens_is_told_before_training(tmp_path):
    with socket.socket() as place:
        # It is taken, so that nobody else can listen there.
        place.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{place.getsockname()[1]}"
        settings = [f"data.service={address}", "training.deterministic=false"]
        with pytest.raises(ConfigError, match=rf"^data\.service: nobody answers at {address} \("):
            make_plan(load_pipeline(str(tmp_path), settings), Display())
        with pytest.raises(ServiceError, match=f"{address} no longer answers"):
            DataService(address).distribute(tf.data.Dataset.range(3), check=lambda indices: None)


def test_a_file_that_changed_is_refused_when_its_batch_has_arrived(tmp_path, paths, address):
    path = tmp_path / "changed.png"
    path.write_bytes(paths[0].read_bytes())
    given = describe([paths[1], path])
    os.utime(path, ns=(0, 0))
    service = DataService(address)
    with pytest.raises(DataError, match=r"changed\.png: written anew"):
        read(make_dataset(given, DECODER, batch_size=1, service=service), service)


def test_a_file_that_does_not_decode_is_named(tmp_path, paths, address):
    path = tmp_path / "broken.png"
    path.write_bytes(b"nothing")
    given, service = describe([paths[1], path]), DataService(address)
    batches = make_dataset(given, DECODER, batch_size=1, service=service)
    with pytest.raises(DataError, match=r"broken\.png"):
        read(batches, service, partial(translate_read_errors, given, DECODER))
    # Where this machine finds nothing wrong with it, the data worker is named.
    with pytest.raises(ServiceError) as caught:
        read(batches, service)
    assert re.search(r": data worker localhost:\d+ failed: Unknown image", str(caught.value))
    assert "under the same paths as this machine" in str(caught.value)


def test_other_errors_of_tensorflow_stay_as_they_are(address):
    error = tf.errors.ResourceExhaustedError(None, None, "out of memory")
    service = DataService(address)
    with pytest.raises(tf.errors.ResourceExhaustedError), service.translate_errors(nullcontext):
        raise error


def test_a_service_without_data_workers_does_not_keep_a_run_waiting(paths):
    dispatcher = tf_service.DispatchServer()
    service = DataService(dispatcher.target, patience_seconds=0.5)
    batches = make_dataset(describe(paths), DECODER, batch_size=1, service=service)
    with pytest.raises(ServiceError, match=r"lost batches: 0 of 11 have arrived, and no more"):
        read(batches, service)


@pytest.fixture
def start_server(tmp_path) -> Iterator[Callable[[str, str], subprocess.Popen]]:
    """Starts the script of the guide, as the guide does, for an address that this machine knows."""
    (script,) = re.findall(r"```py\n(import socket.*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "serve.py").write_text(script.replace("socket.gethostname()", "'localhost'"))
    started = []

    def start(role: str, place: str) -> subprocess.Popen:
        started.append(subprocess.Popen([sys.executable, tmp_path / "serve.py", role, place]))
        return started[-1]

    yield start
    for server in started:
        server.kill()
        server.wait()


@pytest.mark.full
def test_a_run_that_loses_its_data_workers_ends_and_goes_on_with_others(
    start_server, photos, tmp_path, monkeypatch
):
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    address = f"127.0.0.1:{port}"
    start_server("dispatcher", str(port))
    wait_for("127.0.0.1", port)
    workers = [start_server("worker", address) for _ in range(2)]
    seen: list[int] = []

    def kill_them_at_the_tenth(examples, indices) -> None:
        seen.extend(indices)
        if len(seen) == 10 * 4:
            for worker in workers:
                os.kill(worker.pid, signal.SIGKILL)

    monkeypatch.setattr("kft.data.batches.pipeline.refuse_changed", kill_them_at_the_tenth)
    monkeypatch.setattr("kft.feeding.feed.DataService", partial(DataService, patience_seconds=20.0))
    settings = (
        f"data.service={address}",
        "training.deterministic=false",
        "backbone.name=small_cnn",
        "backbone.weights=random",
        "backbone.input_size=16",
        "backbone.options.width=4",
        "strategy.name=full",
        "strategy.duration=40 steps",
        "training.global_batch_size=4",
        "training.checkpoint_every=1 steps",
        "export.enabled=false",
        "data.holdout=0",
        f"runs_directory={tmp_path}/runs",
    )
    with pytest.raises(ServiceError, match=r"lost batches: .* with `kft train --resume") as e:
        train(load_pipeline(str(photos), settings), Display(), run_id="served")
    start_server("worker", address)
    run = resume(read_interrupted(str(e.value).rsplit("--resume ")[1].rstrip("`.")), Display()).run
    assert json.loads((run.phase(0, "full") / "phase.json").read_text())["steps_done"] == 40
    assert set(seen) == set(range(24)), "every picture of train"


def wait_for(*place: str | int) -> None:
    """Until the dispatcher listens."""
    for _ in range(600):
        with socket.socket() as client:
            if client.connect_ex(place) == 0:
                return
        time.sleep(0.1)
    pytest.fail("the dispatcher does not listen")
