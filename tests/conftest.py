"""What every room's tests share: pictures to learn, a tiny model, and no traces on this machine."""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

from kft.workers import Cluster, Workers

if TYPE_CHECKING:
    from kft.model import Assembled

# Fixtures of the rooms that fit a model, and of those whose parts they are.
pytest_plugins = ("phases",)

# The same examples in every run: what fails, fails for all. Seconds are the machine's.
settings.register_profile("kft", derandomize=True, deadline=None)
settings.load_profile("kft")

REPOSITORY = Path(__file__).parent.parent
CLASS_NAMES = ("cat", "dog", "owl")
TINY_SIZE = 32


# Files that were collected; and place of a test function -> how many tests of it carry `full`.
COLLECTED = pytest.StashKey[tuple[frozenset[str], Counter[str]]]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the test processes each takes whole files, whose fixtures are made once, or a pipeline."""
    # Rooms of whole runs stand late in the alphabet. They come first, so that the processes end
    # together.
    items.sort(key=lambda item: str(item.path), reverse=True)
    for item in items:
        if item.get_closest_marker("pipeline") is None:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
    # Before `-m` leaves out what it does not ask for.
    places = [str(item.path.relative_to(REPOSITORY / "tests")) for item in items]
    full = [
        f"{place}::{item.name.partition('[')[0]}"
        for place, item in zip(places, items, strict=True)
        if item.get_closest_marker("full")
    ]
    config.stash[COLLECTED] = frozenset(places), Counter(full)


@pytest.fixture(scope="session")
def full_tier(pytestconfig) -> tuple[frozenset[str], Counter[str]]:
    """Files that were collected, and how many tests of each function run in `tox -e full` alone."""
    return pytestconfig.stash[COLLECTED]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Keras draws the seeds it is not given from here: a model's weights are those of every run."""
    random.seed(0)


@pytest.fixture(scope="session", autouse=True)
def _session_caches(tmp_path_factory) -> Iterator[None]:
    """For fixtures that outlive a test: the caches of no user, and no weights of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KFT_CACHE_DIR", str(tmp_path_factory.mktemp("caches")))
        patch.delenv("KFT_WEIGHTS_DIR", raising=False)
        yield


@pytest.fixture(autouse=True)
def caches(_session_caches, monkeypatch, tmp_path_factory) -> Path:
    """The cache folder of this test alone; it starts empty."""
    folder = tmp_path_factory.mktemp("caches")
    monkeypatch.setenv("KFT_CACHE_DIR", str(folder))
    monkeypatch.delenv("KFT_WEIGHTS_DIR", raising=False)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real pictures and weights, which are not part of the project."""
    given = os.environ.get("KFT_SHARED", "../shared")
    folder = (REPOSITORY / given).resolve()
    if not folder.is_dir():
        pytest.skip(f"KFT_SHARED: no such folder {folder}")
    return folder


@pytest.fixture(scope="session")
def make_picture_folder() -> Callable[..., Path]:
    """Write a folder of PNG pictures for each class; a class has one colour, whatever its index."""

    def make(
        root: Path | str,
        classes: Sequence[str] = CLASS_NAMES,
        per_class: int = 10,
        size: int = TINY_SIZE,
    ) -> Path:
        colours = {name: _colour(name) for name in classes}
        assert _least_distance(list(colours.values())) > 60, "choose classes of other colours"
        for name, colour in colours.items():
            folder = Path(root) / name
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(per_class):
                noise = np.random.default_rng([number, *name.encode()])
                pixels = colour + noise.normal(0, 12, (size, size, 3))
                picture = np.clip(pixels, 0, 255).astype(np.uint8)
                Image.fromarray(picture).save(folder / f"{number:03d}.png")
        return Path(root)

    return make


def _colour(name: str) -> np.ndarray:
    return np.frombuffer(hashlib.sha256(name.encode()).digest()[:3], np.uint8).astype(float)


def _least_distance(colours: list[np.ndarray]) -> float:
    pairs = [(a, b) for index, a in enumerate(colours) for b in colours[:index]]
    return min((float(np.linalg.norm(a - b)) for a, b in pairs), default=np.inf)


@pytest.fixture(scope="session")
def assemble_tiny() -> Callable[..., Assembled]:
    """Make a small_cnn of width 4 at 32 pixels with a head; its weights are those of the seed.

    The kernel of the logits is drawn too (kft starts it from zero), so that gradients
    reach the backbone and outputs differ between pictures from the first step on.
    """

    def make(seed: int = 0, *, head: object = None, is_head_drawn: bool = True) -> Assembled:
        import keras

        from kft.backbones import load_backbone
        from kft.config import BackboneConfig
        from kft.model import assemble
        from kft.tasks.classification.head import ClassificationHead

        keras.utils.set_random_seed(seed)
        config = BackboneConfig(
            name="small_cnn", weights="random", input_size=TINY_SIZE, options={"width": 4}
        )
        assembled = assemble(load_backbone(config), head or ClassificationHead(CLASS_NAMES))
        if is_head_drawn:
            kernel = assembled.model.get_layer("logits").kernel
            drawn = np.random.default_rng(seed).normal(0, 0.3, kernel.shape)
            kernel.assign(drawn.astype("float32"))
        return assembled

    return make


@pytest.fixture
def tiny_assembled(assemble_tiny) -> Assembled:
    """small_cnn with a head of three classes."""
    return assemble_tiny()


@pytest.fixture
def restored_globals() -> Iterator[None]:
    """For a test that sets the seed, op determinism or the dtype policy: put them back after."""
    import keras
    from tensorflow.python.framework import config

    policy = keras.config.dtype_policy()
    yield
    keras.config.set_dtype_policy(policy)
    # TensorFlow shows the way back in no public name.
    config.disable_op_determinism()


@pytest.fixture(scope="module")
def parity_in_this_process() -> Iterator[None]:
    """Exports are asked in this process, for modules that are about something else.

    It saves the start of TensorFlow in another one, which tests of the gate itself do not spare.
    """
    from kft.serving import ServingProcess, parity_worker

    def answer(self: ServingProcess, export: Path, files: Sequence[str]) -> dict[str, np.ndarray]:
        return parity_worker.answer(str(export), list(files))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ServingProcess, "__init__", lambda self: None)
        patch.setattr(ServingProcess, "__exit__", lambda self, *_: None)
        patch.setattr(ServingProcess, "answer", answer)
        yield


class ThreadWorkers(Workers):
    """A worker that is a thread: the same words, over a barrier in place of a network."""

    def __init__(self, number: int, count: int, barrier: threading.Barrier, said: list) -> None:
        super().__init__(Cluster(("host:1",) * count, number))
        self._barrier, self._said = barrier, said

    def sum(self, values: np.ndarray) -> np.ndarray:
        self._said[self.number] = values
        self._barrier.wait()
        # Shapes are one, as collectives want them.
        assert len({(each.shape, each.dtype) for each in self._said}) == 1
        total = sum(self._said)
        self._barrier.wait()
        return total


@pytest.fixture
def make_team() -> Callable[[int], Callable[..., list]]:
    """Count -> run a function of `Workers` in so many of them; what each returned."""

    def make(count: int) -> Callable[..., list]:
        def run(work: Callable[[Workers], object]) -> list:
            barrier, said = threading.Barrier(count, timeout=60), [None] * count
            team = [ThreadWorkers(number, count, barrier, said) for number in range(count)]
            with ThreadPoolExecutor(count) as threads:
                futures = [threads.submit(work, workers) for workers in team]
                for future in futures:
                    future.add_done_callback(lambda done: done.exception() and barrier.abort())
                return [future.result() for future in futures]

        return run

    return make
