"""Activations are computed once and never confused with others."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from kft.config import FeaturesConfig
from kft.errors import ConfigError
from kft.features import Forward, find_cut, fits_store, load_or_extract
from kft.features import layout as layout_module
from kft.model import HEAD
from kft.runs import caches as caches_module
from kft.runs.entries import read_manifest

NUM_EXAMPLES = 7
PIXELS = np.random.default_rng(0).uniform(0, 255, (NUM_EXAMPLES, 32, 32, 3)).astype(np.float32)


@dataclass(frozen=True)
class OwnCut:
    """Cut with a prefix that the test defines, whose outputs have names."""

    prefix: keras.Model
    name: str = "own"
    backbone: str = "small_cnn"
    contents: str = "the test's activations"

    @property
    def crossing(self) -> dict[str, keras.KerasTensor]:
        return self.prefix.output

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: tensor.shape[1:] for name, tensor in self.crossing.items()}

    def forward(self, digest: str) -> Forward:
        return Forward(self.prefix)


class Source:
    """Source of batches of pixels, which counts the requested ones."""

    def __init__(self, *, fail_at: int | None = None, scale: float = 1.0) -> None:
        self.given = 0
        self._fail_at = fail_at
        self._scale = scale

    def __call__(self, view: int):
        for first in range(0, NUM_EXAMPLES, 3):
            if first == self._fail_at:
                raise KeyboardInterrupt
            self.given += 1
            yield {"pixels": tf.constant(pixels_of(view)[first : first + 3] * self._scale)}


def pixels_of(view: int) -> np.ndarray:
    return PIXELS[:, ::-1] if view % 2 else PIXELS


@pytest.fixture
def cut(tiny_assembled):
    return find_cut(tiny_assembled, [HEAD])


@pytest.fixture
def map_cut(tiny_assembled):
    return find_cut(tiny_assembled, ["stage4", HEAD])


def store(cut, source=None, *, content_key="pictures", progress=None, config=None, **options):
    return load_or_extract(
        cut,
        source or Source(),
        content_key=content_key,
        num_examples=NUM_EXAMPLES,
        config=FeaturesConfig(**(config or {})),
        progress=progress or (lambda done, total: None),
        **options,
    )


def entries(caches) -> list[str]:
    return sorted(path.name for path in (caches / "features").iterdir())


def facts(caches) -> dict:
    """Read the facts of the only entry."""
    (entry,) = entries(caches)
    return read_manifest(caches / "features" / entry)["facts"]


def only(activations) -> np.ndarray:
    """Return the single array of a mapping."""
    (found,) = activations.values()
    return np.asanyarray(found)


def compute(cut, view: int = 0) -> np.ndarray:
    return only(cut.prefix({"pixels": pixels_of(view)}))


def test_activations_are_those_of_the_prefix_in_the_order_of_the_examples(cut):
    stored = store(cut)
    expected, found = compute(cut), stored.activations["feature_vector"]
    assert found.shape == (1, NUM_EXAMPLES, 32)
    assert found.dtype == np.float32
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert np.allclose(found[0], expected, atol=1e-5)
    assert not stored.was_cached


def test_feature_maps_inside_the_backbone_are_stored(map_cut):
    pixels = tf.data.Dataset.from_tensor_slices({"pixels": PIXELS}).batch(3)
    stored = store(map_cut, lambda view: pixels)
    assert stored.activations["stage3"].shape == (1, NUM_EXAMPLES, 8, 8, 16)
    assert stored.dtype == "float32"
    assert np.allclose(stored.activations["stage3"][0], compute(map_cut), atol=1e-5)


def test_each_view_is_stored_and_each_number_of_views_has_an_entry(cut, caches):
    told = []
    stored = store(cut, num_views=3, progress=lambda done, total: told.append((done, total)))
    found = stored.activations["feature_vector"]
    assert found.shape == (3, NUM_EXAMPLES, 32)
    for view in range(3):
        assert np.allclose(found[view], compute(cut, view), atol=1e-5)
    assert np.ptp(found, axis=0).max() > 1e-3
    assert [done for done, _ in told] == [3, 6, 7, 10, 13, 14, 17, 20, 21]
    assert {total for _, total in told} == {21}
    assert not store(cut, num_views=2).was_cached
    assert store(cut, num_views=3).was_cached


def test_a_second_call_reads_the_cache_and_computes_nothing(cut, caches):
    first = store(cut)
    source, told = Source(), []
    second = store(cut, source, progress=lambda done, total: told.append((done, total)))
    assert second.was_cached
    assert source.given == 0
    assert isinstance(only(second.activations), np.memmap)
    assert np.array_equal(only(first.activations), only(second.activations))
    assert told == [(NUM_EXAMPLES, NUM_EXAMPLES)]
    assert len(entries(caches)) == 1


def test_progress_counts_examples(cut):
    told = []
    store(cut, progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 7), (6, 7), (7, 7)]


def test_other_weights_before_the_cut_make_another_entry(cut, caches, tiny_assembled):
    first = store(cut)
    variable = tiny_assembled.blocks["stem"].variables[0]
    variable.assign(variable.numpy() * 1.5)
    second = store(cut)
    assert not second.was_cached
    assert len(entries(caches)) == 2
    assert not np.array_equal(only(first.activations), only(second.activations))


def test_batch_statistics_before_the_cut_count_as_weights(cut, caches, tiny_assembled):
    store(cut)
    (mean,) = (v for v in tiny_assembled.blocks["stem"].variables if "moving_mean" in v.path)
    mean.assign(mean.numpy() + 0.5)
    assert not store(cut).was_cached


def test_weights_after_the_cut_do_not_matter(cut, tiny_assembled):
    store(cut)
    kernel = tiny_assembled.model.get_layer("logits").kernel
    kernel.assign(kernel.numpy() + 1)
    assert store(cut).was_cached


def test_other_contents_make_another_entry(cut, caches):
    store(cut, content_key="pictures")
    assert not store(cut, content_key="other pictures").was_cached
    assert len(entries(caches)) == 2


def test_another_cut_of_one_model_makes_another_entry(cut, tiny_assembled, caches):
    store(cut)
    assert not store(find_cut(tiny_assembled, ["stage4"])).was_cached
    assert not store(OwnCut(cut.prefix, "other")).was_cached
    assert len(entries(caches)) == 3


def test_the_same_model_built_again_finds_the_entry(cut, assemble_tiny):
    store(cut)
    again = find_cut(assemble_tiny(), [HEAD])
    assert store(again).was_cached


def test_an_interrupted_extraction_leaves_nothing_and_the_next_starts_over(cut, caches):
    with pytest.raises(KeyboardInterrupt):
        store(cut, Source(fail_at=6))
    assert entries(caches) == []
    stored = store(cut)
    assert not stored.was_cached
    assert np.allclose(only(stored.activations)[0], compute(cut), atol=1e-5)


def test_no_temporary_folder_is_left(cut, caches):
    store(cut)
    (entry,) = entries(caches)
    assert ".partial" not in entry
    assert {path.name for path in (caches / "features" / entry).iterdir()} == {
        "entry.json",
        "feature_vector.npy",
    }


@pytest.mark.parametrize("damage", ["truncate", "flip"])
@pytest.mark.parametrize("file", ["feature_vector.npy", "entry.json"])
def test_a_damaged_entry_is_recomputed(cut, caches, file, damage):
    expected = np.array(only(store(cut).activations))
    (entry,) = entries(caches)
    path = caches / "features" / entry / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content[:-100] if damage == "truncate" else content)
    stored = store(cut)
    assert not stored.was_cached
    assert np.array_equal(only(stored.activations), expected)


WORKER = """
import sys
from types import SimpleNamespace
import numpy as np
import keras
from kft.config import FeaturesConfig
from kft.features import Forward, load_or_extract

inputs = keras.Input((4, 4, 3), name="pixels")
outputs = {"feature_vector": keras.layers.GlobalAveragePooling2D()(inputs)}
prefix = keras.Model({"pixels": inputs}, outputs)
cut = SimpleNamespace(
    name="feature_vector", backbone="means", crossing=outputs, shapes={"feature_vector": (3,)},
    contents="means", prefix=prefix, forward=lambda digest: Forward(prefix),
)

def batches(view):
    print("computing", flush=True)
    assert sys.stdin.readline()
    yield {"pixels": np.full((5, 4, 4, 3), 7, np.float32)}

stored = load_or_extract(
    cut, batches, content_key="x", num_examples=5, config=FeaturesConfig(),
    progress=lambda done, total: None, on_wait=lambda: print("waiting", flush=True),
)
print(stored.was_cached, float(stored.activations["feature_vector"].mean()), flush=True)
"""


@pytest.mark.full
def test_one_of_two_processes_computes_while_the_other_waits_and_reads(caches):
    def start():
        return subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    with start() as first:
        assert first.stdout.readline() == "computing\n"
        with start() as second:
            assert second.stdout.readline() == "waiting\n"
            first.communicate("\n")
            assert second.communicate()[0] == "True 7.0\n"
    assert len(entries(caches)) == 1


# What computes, and in which numbers.


def test_engine_and_seconds_are_recorded(cut, caches):
    begun = time.perf_counter()
    stored = store(cut, config={"engine": "litert"})
    assert stored.engine == "litert"
    found = facts(caches)
    assert 0 < found["seconds"] <= time.perf_counter() - begun
    again = store(cut, config={"engine": "keras"})
    assert again.was_cached
    assert again.engine == "litert"
    assert facts(caches) == found


def test_engines_of_equal_numbers_share_an_entry(cut):
    store(cut, config={"engine": "litert"})
    for engine in ("keras", "litert", "openvino", "auto"):
        assert store(cut, config={"engine": engine}).was_cached
    assert not store(cut, config={"dtype": "float16"}).was_cached


def test_float16_is_stored_if_requested(cut):
    stored = store(cut, config={"dtype": "float16"})
    assert stored.dtype == "float16"
    assert np.allclose(only(stored.activations)[0], compute(cut), rtol=1e-3, atol=1e-5)


@pytest.fixture
def any_map_is_large(monkeypatch):
    monkeypatch.setattr(layout_module, "_LARGE_BYTES", 1)


def test_large_feature_maps_are_stored_in_float16_if_rounding_is_negligible(
    map_cut, cut, caches, any_map_is_large
):
    stored = store(map_cut)
    assert stored.dtype == "float16"
    assert 0 < facts(caches)["float16_noise"] < 1e-3
    assert store(cut).dtype == "float32", "vectors are small"
    assert store(map_cut).was_cached


def test_maps_that_vary_little_around_a_large_mean_stay_float32(map_cut, caches, any_map_is_large):
    shift = keras.layers.Rescaling(1.0, offset=50.0)
    outputs = {"own": shift(map_cut.prefix.output["stage3"])}
    prefix = keras.Model(map_cut.prefix.input, outputs)
    stored = store(OwnCut(prefix))
    assert stored.dtype == "float32"
    assert facts(caches)["float16_noise"] > 1e-3


@pytest.fixture
def bright():
    """Multiply pixels by 300: float16 then holds pixels up to 218."""
    inputs = keras.Input((32, 32, 3), name="pixels")
    outputs = {"own": keras.layers.Rescaling(300.0)(inputs)}
    return OwnCut(keras.Model({"pixels": inputs}, outputs))


def brighten(view: int):
    """Make a dim first batch, which fits into float16, and bright batches, which do not."""
    return iter([{"pixels": PIXELS[:3] / 2}, {"pixels": PIXELS[3:]}])


def test_numbers_too_large_for_float16_are_stored_in_float32_or_refused(
    bright, caches, any_map_is_large
):
    with pytest.raises(ConfigError, match=r"features.dtype: found 'float16', but some .*65504"):
        store(bright, brighten, config={"dtype": "float16"})
    stored = store(bright, brighten)
    assert stored.dtype == "float32"
    assert facts(caches)["float16_noise"] < 1e-3
    assert np.allclose(stored.activations["own"][0, 3:], PIXELS[3:] * 300)
    assert stored.activations["own"].max() > 65504


@pytest.fixture
def masked():
    """Cut that a large map and a mask of whole numbers cross."""
    pixels = keras.Input((32, 32, 3), name="pixels")
    mask = keras.ops.cast(pixels > 128.0, "int32") * 100_001
    return OwnCut(keras.Model({"pixels": pixels}, {"own": pixels / 255.0, "mask": mask}))


def test_several_tensors_that_cross_have_a_file_each_and_only_floats_are_rounded(
    masked, caches, any_map_is_large
):
    stored = store(masked, num_views=2)
    assert stored.dtype == "float16"
    assert set(stored.activations) == {"own", "mask"}
    assert stored.activations["own"].dtype == np.float16
    assert stored.activations["mask"].dtype == np.int32
    for view in range(2):
        pixels = pixels_of(view)
        assert np.allclose(stored.activations["own"][view], pixels / 255, rtol=1e-3, atol=1e-5)
        assert np.array_equal(stored.activations["mask"][view], (pixels > 128) * 100_001)
    (entry,) = entries(caches)
    files = {path.name for path in (caches / "features" / entry).iterdir()}
    assert files == {"own.npy", "mask.npy", "entry.json"}
    again = store(masked, num_views=2)
    assert again.was_cached
    assert {name: each.dtype for name, each in again.activations.items()} == {
        "own": np.float16,
        "mask": np.int32,
    }


def test_space_is_required_for_all_tensors_that_cross(masked):
    needed = PIXELS.size * (2 + 4)

    def fits(limit: int) -> bool:
        config = FeaturesConfig(limit_gigabytes=limit / 1e9, dtype="float16")
        return fits_store(masked, num_examples=NUM_EXAMPLES, num_views=1, config=config)

    assert fits(needed + 1)
    assert not fits(needed - 1)


def test_another_split_uses_the_engine_and_type_of_the_first(map_cut, any_map_is_large):
    train = store(map_cut, config={"engine": "litert"})
    assert (train.engine, train.dtype) == ("litert", "float16")
    validation = store(map_cut, content_key="validation", like=train)
    assert (validation.engine, validation.dtype) == ("litert", "float16")
    assert validation.selected is train.selected
    assert np.array_equal(only(validation.activations), only(train.activations))


def test_the_engine_is_rebuilt_after_the_weights_change(cut, tiny_assembled):
    train = store(cut, config={"engine": "litert"})
    variable = tiny_assembled.blocks["stem"].variables[0]
    variable.assign(variable.numpy() * 1.5)
    validation = store(cut, content_key="validation", like=train)
    assert validation.engine == "litert"
    assert np.allclose(only(validation.activations)[0], compute(cut), atol=1e-5)
    assert not np.allclose(only(validation.activations), only(train.activations), atol=1e-3)


# The cache folder.


def test_activations_that_do_not_fit_are_refused_before_they_are_computed(map_cut):
    source = Source()
    config = {"limit_gigabytes": 1e-6}
    with pytest.raises(ConfigError, match=r"features.limit_gigabytes: found 1e-06"):
        store(map_cut, source, config=config)
    assert source.given == 0
    for limit, fits in ((1e-6, False), (1.0, True)):
        config = FeaturesConfig(limit_gigabytes=limit)
        assert fits_store(map_cut, num_examples=7, num_views=1, config=config) is fits


@pytest.mark.parametrize(
    ("dtype", "is_large", "num_bytes"),
    [("auto", True, 4), ("auto", False, 4), ("float32", True, 4), ("float16", True, 2)],
)
def test_space_is_required_for_the_largest_possible_result(
    map_cut, monkeypatch, dtype, is_large, num_bytes
):
    """`auto` may keep float32 after all, which a run would notice too late."""
    monkeypatch.setattr(layout_module, "_LARGE_BYTES", 1 if is_large else 1e9)
    # Two views of 7 maps, and one of 3.
    needed = 17 * 8 * 8 * 16 * num_bytes

    def fits(limit: int, *, in_parts: bool = False) -> bool:
        config = FeaturesConfig(limit_gigabytes=limit / 1e9, dtype=dtype)
        return fits_store(
            map_cut, num_examples=7, num_views=2, num_beside=3, config=config, in_parts=in_parts
        )

    assert fits(needed + 1)
    assert not fits(needed - 1)
    # Parts are float32, whatever is made of them.
    parts = 17 * 8 * 8 * 16 * 4
    assert fits(needed + parts + 1, in_parts=True)
    assert not fits(needed + parts - 1, in_parts=True)


def test_auto_does_not_start_on_a_map_that_fits_in_float16_only(bright, any_map_is_large):
    """The run would start in float16 and fail at a number that is too large for it."""
    limit = {"limit_gigabytes": 3 * PIXELS.size / 1e9}
    with pytest.raises(ConfigError, match=r"features.limit_gigabytes"):
        store(bright, brighten, config=limit)
    config = FeaturesConfig(**limit)
    assert not fits_store(bright, num_examples=NUM_EXAMPLES, num_views=1, config=config)


def test_activations_larger_than_the_disk_do_not_fit(map_cut, monkeypatch):
    def fits() -> bool:
        return fits_store(map_cut, num_examples=7, num_views=1, config=FeaturesConfig())

    assert fits()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    assert not fits()


def test_float32_in_place_of_float16_evicts_entries_for_its_size(
    bright, cut, caches, any_map_is_large, monkeypatch
):
    """The disk has room for float16 beside the other entry, and for float32 without it."""
    store(cut, num_views=40)
    (old,) = entries(caches)
    gc.collect()
    float32_bytes = 4 * PIXELS.size
    disk = sum(kept.num_bytes for kept in caches_module.list_entries()) + float32_bytes - 1000

    def usage(path):
        taken = sum(file.stat().st_size for file in caches.rglob("*") if file.is_file())
        return SimpleNamespace(free=disk - taken)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert store(bright, brighten).dtype == "float32"
    assert old not in entries(caches)


def test_an_entry_stays_while_it_is_used_and_is_evicted_afterwards(cut, map_cut, caches):
    config = {"limit_gigabytes": 2e-5}
    held = store(cut, config=config)
    (first,) = entries(caches)
    other = store(cut, content_key="other", num_views=14, config=config)
    assert first in entries(caches)
    del held, other
    gc.collect()
    store(cut, content_key="third", num_views=14, config=config)
    assert first not in entries(caches)


def test_numpy_reads_a_stored_file_without_kft(cut, caches):
    stored = store(cut, num_views=2)
    (entry,) = entries(caches)
    values = np.load(Path(caches, "features", entry, "feature_vector.npy"), allow_pickle=False)
    assert np.array_equal(values, only(stored.activations))
