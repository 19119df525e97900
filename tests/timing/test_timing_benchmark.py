"""Benchmark of a small model in a separate process."""

import sys

import pytest

from kft.config import BackboneConfig, DataConfig, load_pipeline
from kft.errors import BackboneError
from kft.timing import Timing, benchmark, load_measured
from kft.timing.benchmark import choose

SMALL = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.options.width=4",
    "backbone.input_size=16",
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path))


@pytest.mark.full
def test_a_small_model_is_timed_and_the_result_recorded():
    given = load_pipeline(None, [*SMALL, "training.precision=float32"])
    lines = []
    # Ample: other tests run beside this one.
    measured = benchmark(given, lines.append, budget_seconds=200.0)
    assert "small_cnn" in lines[0]
    assert measured.precision == "float32"
    assert [timing.batch_size for timing in measured.timings[:2]] == [32, 64]
    assert all(timing.examples_per_second > 0 for timing in measured.timings)
    # Last comes XLA, which reaches the optimizer's variables: they must be alive still.
    *others, last = measured.timings
    assert last.jit_compile
    assert not any(timing.jit_compile for timing in others)
    assert load_measured(given) == measured


@pytest.mark.parametrize(
    ("name", "settings", "shape"),
    [
        ("small_characters", {}, (None, 64)),
        ("small_characters", {"text": {"max_tokens": 20}}, (None, 20)),
        ("small_wavenet", {}, (None, 32_000)),
        ("small_wavenet", {"audio": {"seconds": 0.5}}, (None, 8_000)),
    ],
)
def test_a_length_that_the_data_decide_is_supposed_or_as_set(name, settings, shape):
    from kft.timing.child import make_model

    config = BackboneConfig(name=name, options={"width": 4})
    model = make_model(config, DataConfig(**settings)).model
    assert {tuple(given.shape) for given in model.input.values()} == {shape}


def test_a_budget_too_short_to_time_anything_leaves_no_record():
    given = load_pipeline(None, list(SMALL))
    measured = benchmark(given, lambda text: None, budget_seconds=0.2)
    assert measured.is_empty
    assert (measured.precision, measured.batch_size) == ("float32", 32)
    assert load_measured(given) is None


@pytest.mark.full
def test_an_unknown_backbone_is_refused():
    with pytest.raises(BackboneError, match="resnet50"):
        benchmark(
            load_pipeline(None, ["backbone.name=resnet5"]), lambda text: None, budget_seconds=120.0
        )


def test_a_timing_process_that_dies_is_reported_with_its_last_message(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BackboneError, match="died"):
        benchmark(load_pipeline(None, list(SMALL)), lambda text: None, budget_seconds=60.0)


def timed(precision, jit_compile, **speeds):
    return [
        Timing(precision, jit_compile, int(size.removeprefix("b")), speed)
        for size, speed in speeds.items()
    ]


@pytest.mark.parametrize(
    ("timings", "chosen"),
    [
        ([], ("float32", False, 32)),
        # The smallest batch that is about as fast as any.
        (timed("float32", False, b16=80, b32=96, b64=100), ("float32", False, 32)),
        (timed("float32", False, b64=100) + timed("mixed_bfloat16", False, b64=109),
         ("float32", False, 64)),
        (timed("float32", False, b64=100) + timed("mixed_bfloat16", False, b64=111),
         ("mixed_bfloat16", False, 64)),
        (timed("float32", False, b8=100) + timed("float32", True, b8=200), ("float32", True, 8)),
        # Of other sizes nothing follows.
        (timed("float32", False, b8=100) + timed("float32", True, b64=900), ("float32", False, 8)),
        ([Timing("float32", False, 8, 50.0), Timing("float32", True, 8, note="failed")],
         ("float32", False, 8)),
    ],
)  # fmt: skip
def test_a_default_is_kept_unless_another_setting_is_clearly_faster(timings, chosen):
    assert choose(timings, load_pipeline(None, [])) == chosen


def test_fixed_settings_are_kept():
    timings = timed("mixed_bfloat16", True, b8=100, b16=101)
    given = ["training.precision=mixed_bfloat16", "training.jit_compile=true"]
    assert choose(timings, load_pipeline(None, given)) == ("mixed_bfloat16", True, 8)
