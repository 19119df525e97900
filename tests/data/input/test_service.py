"""Batches that other processes make are those that this one would have made."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kft.config import load_pipeline
from kft.data.input.augmentation import make_augmentation
from kft.data.input.decoding import ImageDecoder
from kft.data.input.mixing import Mixing
from kft.data.input.pipeline import make_dataset, make_view_dataset
from kft.data.input.pixels import translate_read_errors
from kft.data.input.service import DataService, ServiceError
from kft.data.splits import Examples
from kft.errors import ConfigError, DataError
from kft.runs import RunDirectory
from kft.training import Display, load_trained
from kft.workflow import resume, train

DECODER = ImageDecoder(8, 8)
NUM_EXAMPLES = 11
HERE = Path(__file__).parent
GUIDE = HERE.parents[2] / "docs" / "guide.md"


class Servers:
    """Processes of dispatchers and data workers, as the guide starts them."""

    def __init__(self) -> None:
        self._maker = subprocess.Popen(
            [sys.executable, str(HERE / "service_servers.py"), str(GUIDE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def start(self, role: str, place: str = "0") -> tuple[int, str]:
        """The number of the process, and its address."""
        print(role, place, file=self._maker.stdin, flush=True)
        number, address = self._maker.stdout.readline().split()
        return int(number), address

    def close(self) -> None:
        self._maker.communicate()


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    servers = Servers()
    yield servers
    servers.close()


@pytest.fixture(scope="module")
def service(servers) -> DataService:
    """Of a dispatcher and two data workers."""
    _, address = servers.start("dispatcher")
    for _ in range(2):
        servers.start("worker", address)
    return DataService(address)


@pytest.fixture(scope="module")
def photos(tmp_path_factory, make_picture_folder) -> Path:
    folder = tmp_path_factory.mktemp("data") / "photos"
    return make_picture_folder(folder, classes=("cat", "dog"), per_class=15, size=16)


@pytest.fixture(scope="module")
def examples(photos) -> Examples:
    return describe(sorted(photos.rglob("*.png"))[:NUM_EXAMPLES])


def describe(paths: list[Path]) -> Examples:
    stamps = tuple((path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    names = tuple(str(path) for path in paths)
    return Examples(names, names, np.arange(len(paths), dtype=np.int64), stamps)


def assert_same(one: tf.data.Dataset, other: tf.data.Dataset) -> None:
    assert one.element_spec == other.element_spec
    assert int(one.cardinality()) == int(other.cardinality())
    for batch, other_batch in zip(one.as_numpy_iterator(), other.as_numpy_iterator(), strict=True):
        for part, other_part in zip(
            tf.nest.flatten(batch), tf.nest.flatten(other_batch), strict=True
        ):
            assert part.dtype == other_part.dtype
            assert np.array_equal(part, other_part)


@pytest.mark.parametrize(("sampling", "start_step"), [("natural", 0), ("balanced", 4)])
def test_two_epochs_are_the_same_to_the_last_bit(examples, service, sampling, start_step):
    make = partial(
        make_dataset,
        examples,
        DECODER,
        # 11 examples: the last batch of an epoch has 3.
        batch_size=4,
        shuffle_seed=7,
        sampling=sampling,
        epochs=2,
        start_step=start_step,
        augmentation=make_augmentation("light"),
        mixing=Mixing(NUM_EXAMPLES, mixup=0.5, cutmix=0.5),
        seed=7,
    )
    assert_same(make(), make(service=service))


def test_views_are_the_same_to_the_last_bit(examples, service):
    make = partial(
        make_view_dataset,
        examples,
        DECODER,
        view=1,
        batch_size=3,
        chosen=np.array([10, 0, 3, 4, 7]),
        augmentation=make_augmentation("light"),
    )
    assert_same(make(), make(service=service))


def test_where_nobody_listens_is_told_at_once(monkeypatch, tmp_path):
    with socket.socket() as place:
        # It is taken, so that nobody else can listen there.
        place.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{place.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"^data\.service: nobody answers at {address} \("):
            DataService(f"grpc://{address}").check()
        with pytest.raises(ConfigError, match="nobody answers"):
            train(load_pipeline(str(tmp_path), [f"data.service={address}"]), Display())


def test_a_file_that_changed_is_refused_when_its_batch_has_come(tmp_path, examples, service):
    path = tmp_path / "changed.png"
    path.write_bytes(Path(examples.paths[0]).read_bytes())
    given = describe([Path(examples.paths[1]), path])
    os.utime(path, ns=(0, 0))
    with pytest.raises(DataError, match=r"changed\.png: written anew"):
        read(make_dataset(given, DECODER, batch_size=1, service=service), service)


def read(batches: tf.data.Dataset, service: DataService, name_files=nullcontext) -> None:
    with service.translate_errors(name_files):
        list(batches)


def test_a_file_that_does_not_decode_is_named(tmp_path, examples, service):
    path = tmp_path / "broken.png"
    path.write_bytes(b"nothing")
    given = describe([Path(examples.paths[1]), path])
    batches = make_dataset(given, DECODER, batch_size=1, service=service)
    with pytest.raises(DataError, match=r"broken\.png"):
        read(batches, service, partial(translate_read_errors, given, DECODER))


def test_a_file_that_only_the_data_workers_do_not_find_is_their_error(
    tmp_path, examples, service, monkeypatch
):
    (tmp_path / "here.png").write_bytes(Path(examples.paths[0]).read_bytes())
    # They work in another folder.
    monkeypatch.chdir(tmp_path)
    given = describe([Path("here.png")])
    batches = make_dataset(given, DECODER, batch_size=1, service=service)
    with pytest.raises(ServiceError) as caught:
        read(batches, service, partial(translate_read_errors, given, DECODER))
    assert re.match(
        r"data\.service: localhost:\d+: data worker localhost:\d+ failed: here\.png; No such file",
        str(caught.value),
    )
    assert "under the same paths as this machine" in str(caught.value)


class Stuck(ImageDecoder):
    """Decodes, but of a file `stuck` it tells by a named pipe, and never comes to an end."""

    def __call__(self, encoded: tf.Tensor) -> tf.Tensor:
        is_stuck = tf.equal(tf.strings.substr(encoded, 0, 1), b"/")

        def tell() -> tf.Tensor:
            with tf.control_dependencies([tf.io.write_file(encoded, b"begun")]):
                zero = tf.constant(0)
            turns = tf.while_loop(lambda turn: turn < 1, lambda turn: turn * 1, [zero])
            return tf.zeros(self.output_shape, tf.uint8) + tf.cast(turns[0], tf.uint8)

        return tf.cond(is_stuck, tell, lambda: super(Stuck, self).__call__(encoded))


def test_a_data_worker_that_is_killed_takes_a_batch_with_it_and_that_is_named(
    servers, examples, tmp_path
):
    _, address = servers.start("dispatcher")
    worker, _ = servers.start("worker", address)
    service = DataService(address, patience_seconds=2.0)
    os.mkfifo(tmp_path / "pipe")
    stuck = tmp_path / "stuck"
    stuck.write_text(str(tmp_path / "pipe"))
    paths = (*examples.paths[:2], str(stuck), *examples.paths[3:])
    given = Examples(paths, paths, examples.targets)
    batches = make_dataset(given, Stuck(8, 8), batch_size=1, epochs=9, service=service)
    with pytest.raises(ServiceError) as caught, service.translate_errors(nullcontext):
        for number, _ in enumerate(batches):
            if number == 1:
                # Opened by both ends only when the data worker is at the third batch.
                (tmp_path / "pipe").read_bytes()
                os.kill(worker, signal.SIGKILL)
                stuck.write_bytes(Path(paths[0]).read_bytes())
                servers.start("worker", address)
    assert f"data.service: {address} lost batch 3 of 99: " in str(caught.value)
    assert "A data worker or the dispatcher has ended" in str(caught.value)


def test_a_dispatcher_that_is_killed_is_noticed(servers, examples):
    dispatcher, address = servers.start("dispatcher")
    servers.start("worker", address)
    service = DataService(address, patience_seconds=2.0)
    batches = make_dataset(examples, DECODER, batch_size=1, epochs=1000, service=service)
    with (
        pytest.raises(ServiceError, match=r"lost batch [\d,]+ of 11,000: its dispatcher no longer"),
        service.translate_errors(nullcontext),
    ):
        for number, _ in enumerate(batches):
            if not number:
                os.kill(dispatcher, signal.SIGKILL)
    with (
        pytest.raises(ServiceError, match=f"{address} no longer answers"),
        service.translate_errors(nullcontext),
    ):
        list(batches)


@pytest.fixture
def settings(tmp_path) -> tuple[str, ...]:
    return (
        "backbone.name=small_cnn",
        "backbone.weights=random",
        "backbone.input_size=16",
        "backbone.options.width=4",
        "strategy.name=full",
        "strategy.duration=2",
        "training.global_batch_size=8",
        "training.checkpoint_every=1 steps",
        "export.enabled=false",
        "data.holdout=0",
        f"runs_directory={tmp_path}/runs",
    )


def load_weights(run: RunDirectory) -> list[np.ndarray]:
    return [variable.numpy() for variable in load_trained(run).model.variables]


def assert_same_weights(one: RunDirectory, other: RunDirectory) -> None:
    for weights, other_weights in zip(load_weights(one), load_weights(other), strict=True):
        assert np.array_equal(weights, other_weights)


def test_a_run_ends_with_the_same_weights_to_the_last_bit(service, photos, settings):
    alone = load_pipeline(str(photos), settings)
    served = load_pipeline(str(photos), [*settings, f"data.service={service.address}"])
    assert_same_weights(
        train(alone, Display(), run_id="alone").run, train(served, Display(), run_id="served").run
    )


@pytest.mark.full
def test_a_run_whose_data_workers_were_killed_goes_on_to_the_same_weights(
    servers, photos, settings, monkeypatch
):
    _, address = servers.start("dispatcher")
    workers = [servers.start("worker", address)[0] for _ in range(2)]
    # More batches than can be on their way when the tenth has come.
    settings = (*settings, "strategy.duration=40 steps", "training.global_batch_size=4")
    expected = train(load_pipeline(str(photos), settings), Display(), run_id="alone").run
    checked = []

    def kill_them_at_the_tenth(examples, indices) -> None:
        checked.append(indices)
        if len(checked) == 10:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)

    monkeypatch.setattr("kft.data.input.pipeline.refuse_changed", kill_them_at_the_tenth)
    monkeypatch.setattr(
        "kft.training.inputs.DataService", partial(DataService, patience_seconds=2.0)
    )
    pipeline = load_pipeline(str(photos), [*settings, f"data.service={address}"])
    with pytest.raises(ServiceError, match=r"lost batch .* go on with `kft train --resume") as info:
        train(pipeline, Display(), run_id="served")
    servers.start("worker", address)
    path = str(info.value).rsplit("--resume ")[1].rstrip("`.")
    assert_same_weights(expected, resume(path, Display()).run)
