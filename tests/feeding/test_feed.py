"""Feed of phases: decoded examples, or stored activations."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from kft.config import DataConfig, FeaturesConfig, TrainingConfig, load_pipeline
from kft.data import load_splits
from kft.errors import ConfigError, DataError
from kft.examples import Splits
from kft.feeding.frozen_prefix import check_vectors
from kft.modalities.image.decoding import ImageDecoder
from kft.runs.caches import list_entries
from kft.runs.clearing import clear, find_clearable
from kft.strategies.phases import Solve
from kft.workflow import train

BLOCKS = ("stem", "stage1", "stage2", "stage3", "stage4", "head")


def rows(dataset) -> np.ndarray:
    """Rows of the single input of all batches."""
    return np.concatenate([only(inputs) for inputs, _ in dataset.as_numpy_iterator()])


def only(inputs) -> np.ndarray:
    (found,) = inputs.values()
    return found


def test_a_probe_is_fitted_on_the_features_of_the_examples(
    make_feed, tiny_assembled, make_phase, splits
):
    feed = make_feed(tiny_assembled)
    given = feed.for_phase(make_phase(steps=2))
    assert given.computed_from == "feature_vector"
    expected = vectors(tiny_assembled, feed, "validation")
    assert np.ptp(expected, axis=0).max() > 1e-3
    assert np.allclose(rows(given.validation.in_order), expected, atol=1e-4)
    train = vectors(tiny_assembled, feed, "train")
    shuffled = rows(given.train(0))
    assert shuffled.shape == train.shape
    assert np.allclose(np.sort(shuffled, axis=0), np.sort(train, axis=0), atol=1e-4)
    assert not np.allclose(shuffled, train, atol=1e-4)


def test_prefix_and_suffix_compose_to_the_model_and_are_reused_for_the_same_cut(
    make_feed, tiny_assembled, make_phase
):
    feed = make_feed(tiny_assembled)
    given = feed.for_phase(make_phase(steps=2))
    prefix, suffix = given.parts
    assert suffix is given.model
    pixels = rows(feed.in_order("validation"))
    expected = np.asarray(tiny_assembled.model({"pixels": pixels}, training=False))
    assert np.allclose(suffix(prefix({"pixels": pixels})), expected, atol=1e-5)
    again = feed.for_phase(make_phase("again", steps=3))
    assert again.parts == given.parts, "the parts are traced once"
    assert feed.for_solution(make_phase("solved", recipe=Solve())).parts == given.parts
    assert feed.for_phase(make_phase("deepest", "stage4", "head")).parts[1] is not suffix
    whole = feed.for_phase(make_phase("all", *BLOCKS))
    assert whole.parts is None, "a phase on inputs may change every block"


def vectors(assembled, feed, split) -> np.ndarray:
    return vectors_of(assembled, rows(feed.in_order(split)))


def vectors_of(assembled, pixels) -> np.ndarray:
    return np.asarray(assembled.backbone.model(pixels / 127.5 - 1.0)).mean(axis=(1, 2))


@pytest.mark.parametrize(
    ("trainable", "augmentation", "features"),
    [
        (BLOCKS, "none", {}),
        (BLOCKS, "light", {}),
        (("head",), "none", {"enabled": False}),
        (("head",), "light", {"views": 0, "augmented_prefix": "compute"}),
    ],
)
def test_the_whole_model_is_fed_inputs_if_nothing_can_be_stored(
    make_feed, tiny_assembled, make_phase, trainable, augmentation, features
):
    feed = make_feed(tiny_assembled, features=FeaturesConfig(**features))
    given = feed.for_phase(make_phase("deep", *trainable, augmentation=augmentation))
    assert given.computed_from == "inputs"
    assert given.model is tiny_assembled.model
    shapes = {name: spec.shape.as_list() for name, spec in given.train(0).element_spec[0].items()}
    assert shapes == {"pixels": [None, 32, 32, 3]}


def test_each_example_is_decoded_once_in_a_run(make_feed, tiny_assembled, make_phase, display):
    phases = [make_phase("any", *names) for names in (("head",), ("stage4", "head"), BLOCKS)]
    feed = make_feed(tiny_assembled, phases=phases)
    for phase in phases:
        feed.for_phase(phase)
    said = display.console.file.getvalue()
    assert said.count("Decoding train: done") == 1
    assert said.count("Decoding validation: done") == 1
    assert said.count("Features of train: done") == 2


def test_a_later_run_reuses_the_features_of_an_earlier_one(
    make_feed, assemble_tiny, make_phase, display
):
    first = rows(make_feed(assemble_tiny()).for_phase(make_phase()).validation.in_order)
    assert "stored by an earlier run" not in display.console.file.getvalue()
    again = rows(make_feed(assemble_tiny()).for_phase(make_phase()).validation.in_order)
    assert np.array_equal(first, again)
    said = display.console.file.getvalue()
    assert said.count("(stored by an earlier run)") == 2


def describe_features() -> list[str]:
    return sorted(kept.about for kept in list_entries("features"))


def test_another_preset_seed_or_version_makes_other_augmented_features(
    make_feed, tiny_assembled, make_phase, monkeypatch
):
    def store(preset, seed):
        phase = make_phase(augmentation=preset, steps=6)
        training = TrainingConfig(global_batch_size=8, seed=seed)
        features = FeaturesConfig(views=2)
        feed = make_feed(tiny_assembled, phases=(phase,), training=training, features=features)
        rows(feed.for_phase(phase).train(0))
        return sum("examples: 16, views: 2" in about for about in describe_features())

    assert store("light", 0) == 1
    assert store("strong", 0) == 2
    assert store("light", 1) == 3
    assert store("light", 0) == 3
    # Unaugmented features depend on none of these.
    assert sum("views: 1" in about for about in describe_features()) == 1
    monkeypatch.setattr("kft.feeding.prefix_store.__version__", "0.0.0")
    assert store("light", 0) == 4
    assert sum("views: 1" in about for about in describe_features()) == 1


@pytest.mark.full
@pytest.mark.parametrize(
    "version", ["kft.data.batches.decoded.FORMAT", "kft.modalities.image.conversion.VERSION"]
)
def test_features_stored_before_decoding_changed_are_not_reused(
    make_feed, assemble_tiny, make_phase, display, monkeypatch, version
):
    make_feed(assemble_tiny()).for_phase(make_phase())
    monkeypatch.setattr(version, 99)
    make_feed(assemble_tiny()).for_phase(make_phase())
    assert "stored by an earlier run" not in display.console.file.getvalue()
    make_feed(assemble_tiny()).for_phase(make_phase())
    assert display.console.file.getvalue().count("(stored by an earlier run)") == 2


@pytest.mark.full
def test_another_decoder_makes_other_features(make_feed, tiny_assembled, make_phase, data, display):
    make_feed(tiny_assembled).for_phase(make_phase())
    padded = ImageDecoder(32, 32, "pad")
    make_feed(tiny_assembled, decoder=padded).for_phase(make_phase())
    assert "stored by an earlier run" not in display.console.file.getvalue()


def test_without_validation_examples_there_is_no_validation_input(
    make_feed, tiny_assembled, make_phase, splits
):
    bare = Splits(**{**vars(splits), "validation": splits.validation.take([])})
    feed = make_feed(tiny_assembled, splits=bare)
    assert feed.for_phase(make_phase()).validation is None
    assert feed.for_phase(make_phase("deep", *BLOCKS)).validation is None


def test_the_seed_decides_the_order(make_feed, tiny_assembled, make_phase):
    def order(seed):
        training = TrainingConfig(seed=seed, global_batch_size=8)
        return rows(make_feed(tiny_assembled, training=training).for_phase(make_phase()).train(0))

    assert np.array_equal(order(1), order(1))
    assert not np.array_equal(order(1), order(2))


def test_a_missing_file_is_named(make_feed, tiny_assembled, make_phase, pictures, data, tmp_path):
    shutil.copytree(pictures, tmp_path / "photos")
    moving = data.model_copy(update={"path": str(tmp_path / "photos"), "cache": "none"})
    found = load_splits(moving)
    gone = Path(found.train.inputs.paths[0])
    gone.unlink()
    feed = make_feed(tiny_assembled, splits=found, data=moving)
    with pytest.raises(DataError) as caught, feed.name_unreadable():
        feed.for_phase(make_phase())
    assert str(gone) in str(caught.value)
    assert f"1 of {len(found.train)} files changed since they were checked" in str(caught.value)


# Streaming


def test_examples_are_streamed_through_the_prefix_if_no_phase_needs_them_later(
    make_feed, tiny_assembled, make_phase, pictures, data, display, tmp_path
):
    shutil.copytree(pictures, tmp_path / "photos")
    moving = data.model_copy(update={"path": str(tmp_path / "photos")})
    phase = make_phase()
    feed = make_feed(tiny_assembled, splits=load_splits(moving), data=moving, phases=(phase,))
    feed.decode()
    given = feed.for_phase(phase)
    shutil.rmtree(tmp_path / "photos")
    assert len(rows(given.train(0))) == 2 * 18
    assert "Decoding" not in display.console.file.getvalue()


@pytest.mark.parametrize(
    ("last", "augmentation", "features", "cache"),
    [
        ("head", "light", {}, "auto"),
        ("head", "none", {"limit_gigabytes": 1e-6}, "auto"),
        ("head", "none", {}, "memory"),
        ("stage4", "none", {}, "auto"),
    ],
)
def test_examples_are_kept_if_they_are_read_more_than_once(
    make_feed, tiny_assembled, make_phase, data, display, last, augmentation, features, cache
):
    feed = make_feed(
        tiny_assembled,
        phases=(make_phase(), make_phase("last", last, "head", augmentation=augmentation)),
        data=data.model_copy(update={"cache": cache}),
        features=FeaturesConfig(**features),
    )
    feed.decode()
    assert "Decoding train: done" in display.console.file.getvalue()


def test_only_the_splits_that_will_be_read_are_decoded(
    make_feed, tiny_assembled, make_phase, display
):
    feed = make_feed(tiny_assembled, phases=(make_phase("deep", *BLOCKS),))
    feed.decode(("train", "validation", "validation"))
    said = display.console.file.getvalue()
    assert said.count("Decoding train: done") == said.count("Decoding validation: done") == 1
    assert "Decoding holdout" not in said
    feed.decode()
    assert "Decoding holdout: done" in display.console.file.getvalue()


@pytest.mark.full
def test_a_run_that_does_not_use_the_holdout_does_not_decode_it(
    pictures, display, tmp_path, restored_globals
):
    small = ("backbone.name=small_cnn", "backbone.weights=random", "backbone.options.width=4")
    short = ("backbone.input_size=32", "strategy.name=full", "strategy.duration=1 steps")
    places = (f"runs_directory={tmp_path}", "export.enabled=false")
    pipeline = load_pipeline(pictures, (*small, *short, *places))
    train(pipeline, display, judged_splits=("validation",))
    said = display.console.file.getvalue()
    assert "Decoding validation: done" in said
    assert "Decoding holdout" not in said


def test_the_splits_share_the_memory_in_proportion_to_their_size(
    make_feed, tiny_assembled, make_phase, splits, data, monkeypatch
):
    given = {}

    def remember(examples, decoder, *, megabytes, **options):
        given[len(examples)] = megabytes

    monkeypatch.setattr("kft.feeding.example_store.make_decoded_cache", remember)
    limited = data.model_copy(update={"cache_megabytes": 100})
    feed = make_feed(tiny_assembled, data=limited, phases=(make_phase("deep", *BLOCKS),))
    feed.decode()
    counts = [len(splits.train), len(splits.validation), len(splits.holdout)]
    assert given == {count: pytest.approx(100 * count / sum(counts)) for count in counts}


def test_augmented_phases_need_no_cut_to_decide_about_streaming(
    make_feed, tiny_assembled, make_phase, monkeypatch
):
    requested = []
    monkeypatch.setattr(
        "kft.feeding.frozen_prefix.find_cut", lambda *arguments: requested.append(arguments)
    )
    make_feed(tiny_assembled, phases=(make_phase(augmentation="light", steps=10),))
    assert requested == []


@pytest.mark.full
def test_vectors_stay_on_disk_as_long_as_the_feed(make_feed, tiny_assembled, make_phase):
    feed = make_feed(tiny_assembled)
    vectors = feed.for_solution(make_phase(recipe=Solve())).vectors
    gc.collect()
    assert len(clear(find_clearable("features")).in_use) == 1
    assert vectors.shape == (16, 32)
    del vectors, feed
    gc.collect()
    assert len(clear(find_clearable("features")).removed) == 1


def test_vectors_without_room_are_refused_before_anything_is_computed(tiny_assembled, make_phase):
    phases = [make_phase(), make_phase("solved", recipe=Solve())]
    # 100 vectors of 32 float32 values take 12,800 bytes.
    for gigabytes, phases_that_fit in ((1.3e-5, phases), (1.2e-5, phases[:1])):
        features = FeaturesConfig(limit_gigabytes=gigabytes)
        check_vectors(tiny_assembled, phases_that_fit, features, count=lambda phase: 100)
    with pytest.raises(ConfigError, match=r"features.limit_gigabytes(.|\n)*strategy.probe=trained"):
        check_vectors(tiny_assembled, phases, features, count=lambda phase: 100)


def test_a_store_that_is_too_small_is_reported_and_inputs_are_used(
    make_feed, tiny_assembled, make_phase, display
):
    phase = make_phase()
    features = FeaturesConfig(limit_gigabytes=1e-6)
    given = make_feed(tiny_assembled, phases=(phase,), features=features).for_phase(phase)
    assert given.computed_from == "inputs"
    said = display.console.file.getvalue()
    assert "features.limit_gigabytes (1e-06)" in said
    assert "phase probe computes its frozen part in every step" in said


def test_activations_that_fit_only_without_validation_are_not_stored(
    make_feed, tiny_assembled, make_phase, splits
):
    phase = make_phase()
    needed = 4 * 32 * (len(splits.train) + len(splits.validation))
    for num_bytes, source in ((needed + 1, "feature_vector"), (needed - 1, "inputs")):
        features = FeaturesConfig(limit_gigabytes=num_bytes / 1e9)
        feed = make_feed(tiny_assembled, phases=(phase,), features=features)
        assert feed.for_phase(phase).computed_from == source


# Views


def test_stored_views_equal_those_of_training_from_examples_and_alternate(
    make_feed, tiny_assembled, make_phase, display
):
    phase = make_phase(augmentation="light", steps=6)
    stored = make_feed(tiny_assembled, phases=(phase,), features=FeaturesConfig(views=2)).for_phase(
        phase
    )
    pixels = make_feed(
        tiny_assembled, phases=(phase,), features=FeaturesConfig(enabled=False)
    ).for_phase(phase)
    epochs = rows(stored.train(0)).reshape(3, 16, -1)
    seen = vectors_of(tiny_assembled, rows(pixels.train(0))).reshape(3, 16, -1)
    assert np.allclose(epochs[:2], seen[:2], atol=1e-4)
    # The third epoch repeats the views of the first, in another order.
    assert not np.allclose(epochs[2], seen[2], atol=1e-4)
    assert not np.array_equal(epochs[0], epochs[2])
    assert np.array_equal(np.sort(epochs[0], axis=0), np.sort(epochs[2], axis=0))
    assert "Features of train, 2 views: done" in display.console.file.getvalue()


def test_a_phase_with_as_many_views_as_epochs_stores_nothing(make_feed, tiny_assembled, make_phase):
    phase = make_phase(augmentation="light", steps=5)
    feed = make_feed(tiny_assembled, phases=(phase,), features=FeaturesConfig(views=3))
    assert feed.for_phase(phase).computed_from == "inputs"


def test_validation_is_not_augmented(make_feed, tiny_assembled, make_phase):
    phase = make_phase(augmentation="strong", steps=10)
    feed = make_feed(tiny_assembled, phases=(phase,))
    expected = vectors(tiny_assembled, feed, "validation")
    given = feed.for_phase(phase)
    assert given.computed_from == "feature_vector"
    assert np.allclose(rows(given.validation.in_order), expected, atol=1e-4)


# Values and examples


def test_mixup_blends_stored_features_and_their_targets(make_feed, tiny_assembled, make_phase):
    def targets_of(phase, **training):
        config = TrainingConfig(global_batch_size=8, **training)
        given = make_feed(tiny_assembled, phases=(phase,), training=config).for_phase(phase)
        assert given.computed_from == "feature_vector"
        return np.concatenate([targets for _, targets in given.train(0).as_numpy_iterator()])

    assert targets_of(make_phase()).shape == (32,)
    for dense in (targets_of(make_phase(), mixup=1.0), targets_of(make_phase(mixup=1.0))):
        assert dense.shape == (32, 3)
        assert dense.sum(axis=1) == pytest.approx(np.ones(32), abs=1e-6)
        assert ((dense > 0.01) & (dense < 0.99)).any()
    # The setting of the phase takes precedence.
    assert targets_of(make_phase(mixup=0.0), mixup=1.0).shape == (32,)


@pytest.mark.full
def test_features_in_float16_are_rounded_from_float32(make_feed, tiny_assembled, make_phase):
    def features_in(dtype):
        phase = make_phase("last", "stage4", "head")
        feed = make_feed(tiny_assembled, phases=(phase,), features=FeaturesConfig(dtype=dtype))
        return rows(feed.for_phase(phase).train(0))

    exact, rounded = features_in("float32"), features_in("float16")
    assert exact.dtype == rounded.dtype == np.float32
    assert not np.array_equal(exact, rounded)
    assert np.allclose(exact, rounded, rtol=2**-11, atol=1e-6)


LEARNED = ("train", "validation")


@pytest.mark.parametrize("cache", ["memory", "none"])
def test_a_phase_can_train_on_validation_too(
    make_feed, tiny_assembled, make_phase, splits, data, cache
):
    count = len(splits.train) + len(splits.validation)
    steps = -(-count // 8)
    phase = make_phase("deep", *BLOCKS, learns_from=LEARNED, steps=steps, steps_per_epoch=steps)
    feed = make_feed(tiny_assembled, phases=(phase,), data=data.model_copy(update={"cache": cache}))
    given = feed.for_phase(phase)
    assert given.validation is None
    found, expected = rows(given.train(0)), [rows(feed.in_order(split)) for split in LEARNED]
    assert len(found) == count
    assert sorted(map(bytes, found)) == sorted(map(bytes, np.concatenate(expected)))
    assert len(feed.examples(phase).targets) == count


def test_a_head_can_be_solved_and_fitted_on_validation_too(
    make_feed, tiny_assembled, make_phase, display
):
    feed = make_feed(tiny_assembled)
    phase = make_phase("head", learns_from=LEARNED, recipe=Solve())
    expected = np.concatenate([vectors(tiny_assembled, feed, split) for split in LEARNED])
    assert np.allclose(feed.for_solution(phase).vectors, expected, atol=1e-4)
    trained = feed.for_phase(make_phase("head", learns_from=LEARNED, steps=3, steps_per_epoch=3))
    assert trained.validation is None
    found = rows(trained.train(0))
    assert np.allclose(np.sort(found, axis=0), np.sort(expected, axis=0), atol=1e-4)
    assert "Features of train: done" in display.console.file.getvalue()
    assert "(stored by this run)" in display.console.file.getvalue()


def test_joined_vectors_respect_the_limit_of_the_cache(
    make_feed, tiny_assembled, make_phase, splits, caches
):
    phase = make_phase("head", learns_from=LEARNED, recipe=Solve())
    needed = 4 * 32 * (len(splits.train) + len(splits.validation))
    kept = make_feed(tiny_assembled, features=FeaturesConfig(limit_gigabytes=(needed + 1) / 1e9))
    vectors = kept.for_solution(phase).vectors
    assert Path(vectors.filename).is_relative_to(caches)
    tight = FeaturesConfig(limit_gigabytes=(needed - 1) / 1e9)
    with pytest.raises(ConfigError, match=r"features.limit_gigabytes"):
        make_feed(tiny_assembled, features=tight).for_solution(phase)


@pytest.mark.full
def test_a_data_service_makes_only_the_training_batches(
    make_feed, tiny_assembled, make_phase, display
):
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.removeprefix("grpc://")
    worker = service.WorkerServer(service.WorkerConfig(address))
    phase = make_phase("all", *BLOCKS, augmentation="none")
    alone = make_feed(tiny_assembled, phases=[phase]).for_phase(phase)
    served = make_feed(tiny_assembled, phases=[phase], data=DataConfig(service=address))
    given = served.for_phase(phase)
    assert np.array_equal(rows(given.validation.in_order), rows(alone.validation.in_order))
    before = display.console.file.getvalue().count("Decoding train: done")
    assert np.array_equal(np.sort(rows(given.train(0)), 0), np.sort(rows(alone.train(0)), 0))
    del worker, dispatcher
    # Stored features do not use the service.
    served.for_phase(make_phase("head", "head"))
    said = display.console.file.getvalue()
    assert said.count("Decoding train: done") == before == 1
    assert said.count("data.service makes no features") == 1
