"""Measuring a small model, in processes that are gone afterwards."""

import sys

import pytest

from kft.config import load_pipeline
from kft.errors import BackboneError
from kft.measuring import load_measured, measure
from kft.measuring.bench import Bench, Order, OutOfTimeError, Variant, WorkError
from kft.measuring.measuring import list_variants

SMALL = (
    "backbone.name=small_cnn",
    "backbone.weights=random",
    "backbone.options.width=4",
    "backbone.input_size=16",
)
FLOAT32 = Variant("float32", 1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KFT_CACHE_DIR", str(tmp_path))


def test_a_small_model_is_measured_and_remembered():
    # One process is enough to see all of the way; the choice has tests of its own.
    given = load_pipeline(None, [*SMALL, "training.precision=float32", "training.threads=1"])
    lines = []
    # Ample: other tests run beside this one.
    measured = measure(given, lines.append, budget_seconds=120.0)
    assert "small_cnn" in lines[0]
    assert measured.precision == "float32"
    assert measured.threads == 1
    assert measured.seconds <= 120.0
    rates = {trial.candidate: trial.examples_per_second for trial in measured.trials}
    assert rates["batch 32"] > 0
    assert "XLA" in rates
    assert all(t.peak_bytes is None or t.peak_bytes > 10**8 for t in measured.trials)
    assert load_measured(given) == measured


def test_a_budget_too_short_to_measure_anything_leaves_no_record():
    given = load_pipeline(None, list(SMALL))
    measured = measure(given, lambda text: None, budget_seconds=1.5)
    assert measured.is_empty
    assert measured.precision == "float32"
    assert load_measured(given) is None


def test_a_process_answers_refuses_and_is_gone():
    with Bench(load_pipeline(None, list(SMALL))) as bench:
        bench.start([FLOAT32])
        bench.await_ready(FLOAT32, 120.0)
        process = bench._workers[FLOAT32]._process
        timing = bench.run(FLOAT32, Order(2, seconds=0.01), 60.0)
        assert 0 < timing.seconds < 60
        assert timing.peak_bytes is None or timing.peak_bytes > 10**8
        # XLA reaches the optimizer's variables, which must be alive still.
        for work in ("forward", "step"):
            assert bench.run(FLOAT32, Order(2, work, jit_compile=True), 120.0).seconds > 0
        with pytest.raises(WorkError):
            bench.run(FLOAT32, Order(-1), 60.0)
        with pytest.raises(OutOfTimeError):
            bench.run(FLOAT32, Order(2, seconds=60.0), 0.0)
        assert process.poll() is not None
        with pytest.raises(WorkError, match="ended"):
            bench.run(FLOAT32, Order(2), 60.0)


def test_an_unknown_backbone_is_refused_as_everywhere():
    given = load_pipeline(None, ["backbone.name=resnet5", "training.threads=1"])
    with pytest.raises(BackboneError, match="resnet50"):
        measure(given, lambda text: None, budget_seconds=120.0)


def test_a_process_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Bench(load_pipeline(None, list(SMALL))) as bench:
        bench.start([FLOAT32])
        with pytest.raises(WorkError, match="died"):
            bench.await_ready(FLOAT32, 60.0)


def test_what_is_given_is_not_varied(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "4")
    free = list_variants(load_pipeline(None, []))
    assert free == [Variant("float32", 4), Variant("mixed_bfloat16", 4), Variant("float32", 2)]
    given = ["training.precision=mixed_bfloat16", "training.threads=3"]
    assert list_variants(load_pipeline(None, given)) == [Variant("mixed_bfloat16", 3)]
