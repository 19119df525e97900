"""Several workers compute activations in parts; the joined entry equals that of one process."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from kft.config import FeaturesConfig
from kft.errors import ConfigError, KftError
from kft.features import SharedExtraction, find_cut, load_or_extract
from kft.features import shared_extraction as shared_module
from kft.model import HEAD
from kft.runs.caches import cache_folder

COUNT = 7
PIXELS = np.random.default_rng(0).uniform(0, 255, (COUNT, 32, 32, 3)).astype(np.float32)


def pixels_of(view: int) -> np.ndarray:
    return PIXELS[:, ::-1] if view % 2 else PIXELS


class Reader:
    """Reader of batches of two examples, which records the requested ones."""

    def __init__(self) -> None:
        self.read: list[tuple[int, int]] = []

    def __call__(self, view: int, places: np.ndarray | None = None):
        wanted = np.arange(COUNT) if places is None else places
        for first in range(0, len(wanted), 2):
            own = wanted[first : first + 2]
            self.read += [(view, int(place)) for place in own]
            yield {"pixels": tf.constant(pixels_of(view)[own])}


@pytest.fixture
def cut(tiny_assembled):
    return find_cut(tiny_assembled, [HEAD])


def load(cut, reader, workers=None, *, num_views=1, progress=lambda done, total: None):
    return load_or_extract(
        cut,
        reader,
        content_key="pictures",
        num_examples=COUNT,
        num_views=num_views,
        config=FeaturesConfig(engine="keras"),
        progress=progress,
        shared=None if workers is None else SharedExtraction(workers, reader),
    )


def compute(cut, view: int = 0) -> np.ndarray:
    return np.asarray(cut.prefix({"pixels": pixels_of(view)})["feature_vector"])


def entries() -> list[str]:
    return sorted(path.name for path in cache_folder("features").glob("[!.]*"))


@pytest.mark.parametrize("count", [2, 3])
def test_each_worker_computes_its_part_and_all_read_the_whole(cut, make_team, caches, count):
    readers = [Reader() for _ in range(count)]
    stored = make_team(count)(
        lambda workers: load(cut, readers[workers.number], workers, num_views=2)
    )
    for each in stored:
        for view in range(2):
            expected = compute(cut, view)
            assert np.allclose(each.activations["feature_vector"][view], expected, atol=1e-5)
        assert each.engine == "keras"
    computed = [pair for reader in readers for pair in set(reader.read)]
    assert sorted(computed) == sorted({(v, i) for v in range(2) for i in range(COUNT)})
    # The parts are gone, and the entry is the one that a single process looks for.
    assert len(entries()) == 1
    reader = Reader()
    assert load(cut, reader, num_views=2).was_cached
    assert reader.read == []


def test_stored_activations_are_not_computed_again(cut, make_team, caches):
    load(cut, Reader())
    readers = [Reader(), Reader()]
    stored = make_team(2)(lambda workers: load(cut, readers[workers.number], workers))
    assert all(each.was_cached for each in stored)
    assert [reader.read for reader in readers] == [[], []]


def test_surplus_workers_have_no_part(cut, make_team, caches):
    stored = make_team(COUNT + 2)(lambda workers: load(cut, Reader(), workers))
    expected = compute(cut)
    for each in stored:
        assert np.allclose(each.activations["feature_vector"][0], expected, atol=1e-5)


def test_parts_of_an_interrupted_run_are_reused(cut, make_team, caches, monkeypatch):
    readers = [Reader(), Reader()]

    def stop(parts, view):
        raise KftError("stopped")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(shared_module.Parts, "read", stop)
        with pytest.raises(KftError, match="stopped"):
            make_team(2)(lambda workers: load(cut, readers[workers.number], workers))
    assert len(entries()) == 2
    again = [Reader(), Reader()]
    make_team(2)(lambda workers: load(cut, again[workers.number], workers))
    # The chief looks at a batch to choose the engine.
    assert again[1].read == []
    assert len(again[0].read) <= 2
    assert len(entries()) == 1


def test_a_cache_folder_that_is_not_shared_is_named(cut, make_team, caches, monkeypatch):
    hold = shared_module.Parts.hold

    def hold_elsewhere(parts, number, build):
        parts.key = f"{parts.key}x" if number == 1 and build != parts._refuse else parts.key
        return hold(parts, number, build)

    monkeypatch.setattr(shared_module.Parts, "hold", hold_elsewhere)
    with pytest.raises(ConfigError, match=r"parts that other workers computed are missing"):
        make_team(2)(lambda workers: load(cut, Reader(), workers))
